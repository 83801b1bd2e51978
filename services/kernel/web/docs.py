"""The page `/docs`: Swagger UI on the OpenAPI document. It loads nothing from elsewhere."""

from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import FileResponse

STATIC = Path(__file__).parent / "static"

FILES: Mapping[str, tuple[str, str]] = {
    "start.js": ("start.js", "text/javascript"),
    "swagger-ui.css": ("swagger/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": ("swagger/swagger-ui-bundle.js", "text/javascript"),
}
"""Where each file is and what it is; `make assets` builds `swagger/`."""

PROTECTION: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}


def router(static: Path = STATIC) -> APIRouter:
    """Return the routes of the page and of its files, which lie under `static`."""
    routes = APIRouter(tags=["operations"], include_in_schema=False)

    @routes.get("/docs")
    async def docs() -> Response:
        if not all((static / path).is_file() for path, _ in FILES.values()):
            raise HTTPException(503, "The page of the API is not built: run `make assets`.")
        return FileResponse(static / "docs.html", media_type="text/html", headers=PROTECTION)

    @routes.get("/assets/docs/{name}")
    async def file(name: str) -> Response:
        path, kind = FILES.get(name, ("", ""))
        if not (static / path).is_file():
            raise HTTPException(404, "There is no such file: `make assets` builds what the page needs.")
        headers = {"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"}
        return FileResponse(static / path, media_type=kind, headers=headers)

    return routes
