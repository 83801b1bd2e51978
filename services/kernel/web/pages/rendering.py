"""Turns templates into pages: GOV.UK Frontend components, our own words, security headers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
from fastapi.responses import HTMLResponse
from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    Undefined,
)

from services.kernel.deadlines.wording import sentence
from services.kernel.web.pages.assets import Assets
from services.kernel.web.pages.lists import address_with

TEMPLATES = Path(__file__).parent / "templates"

PROTECTION: Mapping[str, str] = {
    # Pages are confidential: browsers and proxies keep no copy, no other site frames them, and only our own
    # files run or load.
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
    """A value that a template does not find. A name that no page gave is our mistake and raises.

    The components of govuk-frontend-jinja take one dictionary and look up options that are mostly left out.
    There, and only there, an undefined value means that the option is not set.
    """

    def _is_option(self) -> bool:
        if self._undefined_name in {"caller", "undefined"}:  # the components look these up by name
            return True
        return isinstance(self._undefined_obj, dict)

    def __bool__(self) -> bool:
        return False if self._is_option() else bool(self._fail_with_undefined_error())

    def __str__(self) -> str:
        return "" if self._is_option() else str(self._fail_with_undefined_error())

    def __iter__(self) -> Any:
        return iter(()) if self._is_option() else self._fail_with_undefined_error()


class Renderer:
    """Renders pages. Without the built style sheet they work but look plain; this is logged once.

    `templates` finds the shell's templates, those of services, and the components under
    `govuk_frontend_jinja/`.
    """

    def __init__(self, assets: Assets, *, styled: bool | None = None) -> None:
        self._folders: list[BaseLoader] = [FileSystemLoader(TEMPLATES)]
        components = PrefixLoader({"govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja")})
        self.templates = Environment(
            loader=ChoiceLoader([ChoiceLoader(self._folders), components]),
            autoescape=True,
            undefined=OptionalParameter,
        )
        self.templates.filters["sentence"] = sentence
        self.templates.globals["address_with"] = address_with
        self._styled = assets.has_style if styled is None else styled
        if not self._styled:
            log.warning("the pages have no style: run `make assets`")

    def add(self, folder: Path, functions: Mapping[str, Callable[..., object]]) -> None:
        """Add a service's templates and their functions. Raises ValueError for a duplicate name."""
        fresh = FileSystemLoader(folder)
        known = {name for each in self._folders for name in each.list_templates()}
        twice = known.intersection(fresh.list_templates())
        if twice:
            message = f"two templates are called {min(twice)}"
            raise ValueError(message)
        self._folders.append(fresh)
        self.templates.globals.update(functions)

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page as a response with security headers."""
        html = self.templates.get_template(template).render(styled=self._styled, **values)
        return HTMLResponse(html, status_code=status, headers=dict(PROTECTION))
