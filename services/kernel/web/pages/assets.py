"""The files that browsers need: the shell's, those built by `make assets`, and those of services."""

from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

STATIC = Path(__file__).parent / "static"
STYLE = "govuk/govuk-frontend.css"
SCRIPT = "govuk/govuk-frontend.min.js"

TYPES: Mapping[str, str] = {".css": "text/css", ".js": "text/javascript"}
"""The kinds of file that are served; a folder's other files are not."""


class Assets:
    """Files by the name under which browsers request them."""

    def __init__(self) -> None:
        self._files = {STYLE: STATIC / STYLE, SCRIPT: STATIC / SCRIPT}
        self.add(STATIC)

    @property
    def has_style(self) -> bool:
        """Return whether `make assets` has been run."""
        return self._files[STYLE].is_file()

    def add(self, folder: Path) -> None:
        """Serve a folder's style sheets and scripts too. Raises ValueError for a duplicate name."""
        for path in sorted(folder.iterdir()):
            if path.suffix not in TYPES:
                continue
            if path.name in self._files:
                message = f"two files for browsers are called {path.name}"
                raise ValueError(message)
            self._files[path.name] = path

    def serve(self, routes: APIRouter) -> None:
        """Add the files under `/assets`; they are public."""

        @routes.get("/assets/{name:path}", include_in_schema=False)
        async def asset(name: str) -> FileResponse:
            path = self._files.get(name)
            if path is None or not path.is_file():
                raise HTTPException(404, "There is no such file: `make assets` builds what the pages need.")
            headers = {"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"}
            return FileResponse(path, media_type=TYPES[path.suffix], headers=headers)
