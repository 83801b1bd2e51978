"""The page of the API: built or not, and nothing from elsewhere."""

import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from services.kernel.web import docs
from services.kernel.web.api import install_errors


def visitor(static: Path) -> httpx.AsyncClient:
    app = FastAPI(docs_url=None)
    app.include_router(docs.router(static))
    install_errors(app)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What `make assets` leaves behind, as far as the page can tell."""
    (tmp_path / "swagger").mkdir()
    for path, _ in docs.FILES.values():
        (tmp_path / path).write_text("")
    (tmp_path / "docs.html").write_bytes((docs.STATIC / "docs.html").read_bytes())
    return tmp_path


async def test_the_page_names_its_own_files_alone(built: Path) -> None:
    """All that it names is served here, and its policy forbids the rest and every script in the page."""
    http = visitor(built)
    page = await http.get("/docs")
    named = [name for name in re.findall(r'(?:src|href)="([^"]+)"', page.text) if name != "data:,"]
    assert len(named) == 3
    for name in named:
        assert name.startswith("assets/docs/")
        assert (await http.get(f"/{name}")).status_code == 200
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "<script>" not in page.text


async def test_a_page_that_is_not_built_says_what_to_run(tmp_path: Path) -> None:
    """In one sentence."""
    answer = await visitor(tmp_path).get("/docs")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "The page of the API is not built: run `make assets`."


@pytest.mark.parametrize("name", ["docs.html", "..%2Fdocs.py", "swagger", ""])
async def test_nothing_else_is_served(built: Path, name: str) -> None:
    """What lies beside the files stays where it is."""
    assert (await visitor(built).get(f"/assets/docs/{name}")).status_code == 404
