"""The pages and files of the shell itself."""

from fastapi import APIRouter

from services.kernel.web.pages import sign_in
from services.kernel.web.pages.shell import Shell


def shell_routes(shell: Shell) -> APIRouter:
    """Return the routes that every site with pages has once, whichever services it serves."""
    routes = shell.router()
    sign_in.add(routes, shell)
    files = APIRouter(tags=["pages"])
    shell.assets.serve(files)
    routes.include_router(files)
    return routes
