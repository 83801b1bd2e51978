"""The files that the pages need: ours, and what `make assets` has built from govuk-frontend."""

from collections.abc import Mapping

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

from services.notify.pages.rendering import STATIC

FILES: Mapping[str, str] = {
    "leadline.css": "text/css",
    "components.js": "text/javascript",
    "live.js": "text/javascript",
    "govuk/govuk-frontend.css": "text/css",
    "govuk/govuk-frontend.min.js": "text/javascript",
}


def add(routes: APIRouter) -> None:
    """Add the files under `/assets`; anybody may have them."""

    @routes.get("/assets/{name:path}", include_in_schema=False)
    async def asset(name: str) -> FileResponse:
        path = STATIC / name
        if name not in FILES or not path.is_file():
            raise HTTPException(404, "There is no such file: `make assets` builds what the pages need.")
        headers = {"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type=FILES[name], headers=headers)
