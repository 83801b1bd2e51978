"""Turns templates into pages: the components of GOV.UK Frontend, words of ours, headers that protect."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import structlog
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, PrefixLoader, Undefined

from services.notify.wording import sentence

HERE = Path(__file__).parents[1]
TEMPLATES = HERE / "pages"
STATIC = HERE / "static"
STYLE = "govuk/govuk-frontend.css"

PROTECTION: Mapping[str, str] = {
    # Alerts are about children: browsers and proxies keep no copy, no other page frames these, and nothing
    # runs or loads that does not come from here.
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

log = structlog.get_logger()


class OptionalParameter(Undefined):
    """What a template does not find. A name that nobody gave is a mistake of ours and raises.

    The components of govuk-frontend-jinja take one dictionary and look up options that are mostly left
    out: there, and only there, nothing found means nothing wanted.
    """

    def _is_option(self) -> bool:
        if self._undefined_name in {"caller", "undefined"}:  # the components ask for these by name
            return True
        return isinstance(self._undefined_obj, dict)

    def __bool__(self) -> bool:
        return False if self._is_option() else bool(self._fail_with_undefined_error())

    def __str__(self) -> str:
        return "" if self._is_option() else str(self._fail_with_undefined_error())

    def __iter__(self) -> Any:
        return iter(()) if self._is_option() else self._fail_with_undefined_error()


@dataclass(frozen=True, slots=True)
class Pages:
    """Which page of how many, with the addresses of its neighbours."""

    number: int
    count: int
    previous: str | None
    following: str | None
    links: tuple[tuple[int, str | None], ...] = ()
    """The numbers that are shown, in order, with their addresses; None stands for those left out."""


def inbox_address(inbox: str) -> str:
    """Return the address of somebody's inbox. E-mails name it, so it stays what it is."""
    return f"/inbox/{quote(inbox, safe='')}"


def pages_of(
    address: str, number: int, total: int, query: Mapping[str, Any], *, per_page: int, fragment: str = ""
) -> Pages:
    """Return where in a list a page is; what the visitor has chosen stays in the addresses.

    `fragment` is where the list begins, with its `#`, on a page that holds more than it.
    """
    count = max(1, -(-total // per_page))

    def link(other: int) -> str:
        return f"{address_with(address, {**query, 'page': other})}{fragment}"

    return Pages(
        number=number,
        count=count,
        previous=link(min(number - 1, count)) if number > 1 else None,
        following=link(number + 1) if number < count else None,
        links=tuple(_links(min(number, count), count, link)),
    )


def _links(number: int, count: int, link: Callable[[int], str]) -> Iterator[tuple[int, str | None]]:
    """Yield the first page, the last, this one and its neighbours."""
    before = 0
    for other in sorted({1, number - 1, number, number + 1, count} & set(range(1, count + 1))):
        if other > before + 1:
            yield before + 1, None
        yield other, link(other)
        before = other


def address_with(address: str, query: Mapping[str, Any]) -> str:
    """Return an address with a query, without what was not chosen."""
    chosen = {name: value for name, value in query.items() if value is not None}
    return f"{address}?{urlencode(chosen, doseq=True)}" if chosen else address


def environment() -> Environment:
    """Return the templates: ours, and the components under `govuk_frontend_jinja/`."""
    templates = Environment(
        loader=ChoiceLoader(
            [
                FileSystemLoader(TEMPLATES),
                PrefixLoader({"govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja")}),
            ]
        ),
        autoescape=True,
        undefined=OptionalParameter,
    )
    templates.filters["sentence"] = sentence
    templates.globals["inbox_address"] = inbox_address
    templates.globals["address_with"] = address_with
    return templates


class Renderer:
    """Renders pages. Without the built style sheet they work and look plain, and the log says so once."""

    def __init__(self, *, styled: bool | None = None) -> None:
        self._templates = environment()
        self._styled = (STATIC / STYLE).is_file() if styled is None else styled
        if not self._styled:
            log.warning("the pages have no style: run `make assets`")

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page as an answer, with the headers that protect it."""
        html = self._templates.get_template(template).render(styled=self._styled, **values)
        return HTMLResponse(html, status_code=status, headers=dict(PROTECTION))
