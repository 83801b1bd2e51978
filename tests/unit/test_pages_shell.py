"""The shell of the pages: what a service may add to it, and what it does not know."""

import re
from pathlib import Path

import pytest

from services.kernel.base.clock import SystemClock
from services.kernel.base.settings import Settings
from services.kernel.web.pages.shell import Shell

SHELL = Path("services/kernel/web/pages")
BUSINESS = re.compile(r"(?i)(alert|child|inbox|referral|placement|\bcases?\b|chronolog|caseload)")


def shell_files() -> list[Path]:
    return [
        path
        for path in SHELL.rglob("*")
        if path.suffix in {".py", ".html", ".css", ".js"} and not {"npm", "govuk"} & set(path.parts)
    ]


def test_shell_has_no_business_word() -> None:
    """Every service builds on it, so it is about none of them."""
    assert len(shell_files()) > 20
    found = {(path.name, word) for path in shell_files() for word in BUSINESS.findall(path.read_text())}
    assert found == set()


@pytest.fixture
def shell() -> Shell:
    return Shell(Settings(), SystemClock())


def test_two_templates_of_one_name_are_refused(shell: Shell, tmp_path: Path) -> None:
    """Which of them a page gets would be chance."""
    (tmp_path / "layout.html").write_text("")
    with pytest.raises(ValueError, match=r"two templates are called layout\.html"):
        shell.extend(templates=tmp_path)


def test_two_files_of_one_name_are_refused(shell: Shell, tmp_path: Path) -> None:
    """A browser would get one of them."""
    (tmp_path / "leadline.css").write_text("")
    with pytest.raises(ValueError, match=r"two files for browsers are called leadline\.css"):
        shell.extend(files=tmp_path)


def test_a_service_adds_pages_with_its_own_words(shell: Shell, tmp_path: Path) -> None:
    """Its templates stand on the layout, and call what it brings."""
    (tmp_path / "one.html").write_text(
        "{% extends 'layout.html' %}{% block main %}{{ shout('hello') }}{% endblock %}"
    )
    shell.extend(templates=tmp_path, functions={"shout": str.upper})
    page = bytes(shell.page(None, "one.html").body).decode()
    assert "HELLO" in page
    assert shell.words.footer in page
