"""Turns templates into pages: the components of GOV.UK Frontend, words of ours, headers that protect."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import structlog
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, PrefixLoader, Undefined

from services.kernel.store.cursors import Cursors, ListPart
from services.notify.wording import sentence

HERE = Path(__file__).parents[1]
TEMPLATES = Path(__file__).parent / "templates"
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
    """Which rows of how many a page shows, with the addresses of its neighbours."""

    total: int
    first: int = 0
    last: int = 0
    """The numbers of the first row and the last one; 0 where there is none."""
    beginning: str | None = None
    previous: str | None = None
    following: str | None = None

    @property
    def span(self) -> str | None:
        """Return which rows are shown, in words; None where it is all of them, or none."""
        if not self.last or not (self.previous or self.following):
            return None
        rows = f"{self.first} to {self.last}" if self.last > self.first else str(self.last)
        return f"{rows} of {self.total}"


def inbox_address(inbox: str) -> str:
    """Return the address of somebody's inbox. Emails name it, so it stays what it is."""
    return f"/inbox/{quote(inbox, safe='')}"


def pages_of(
    address: str, part: ListPart[Any], cursors: Cursors, query: Mapping[str, Any], *, fragment: str = ""
) -> Pages:
    """Return where in a list a page is; what the visitor has chosen stays in the addresses.

    `fragment` is where the list begins, with its `#`, on a page that holds more than it.
    """

    def link(**turned: str) -> str:
        return f"{address_with(address, {**query, **turned})}{fragment}"

    shown = len(part.items)
    return Pages(
        # Counted one after the other: what is on the page is there, whatever a count says.
        total=max(part.total, part.passed + shown),
        first=part.passed + 1 if shown else 0,
        last=part.passed + shown if shown else 0,
        beginning=None if part.begins else link(),
        previous=None if part.preceding is None else link(before=cursors.write(part.preceding)),
        following=None if part.following is None else link(after=cursors.write(part.following)),
    )


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
