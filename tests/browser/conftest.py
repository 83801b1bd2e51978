"""One running system and one Chromium for all browser tests."""

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from deploy.embedded.system import running_system
from services.kernel.base.clock import HeldClock
from services.kernel.deadlines.calendar import LONDON
from services.kernel.web.pages.assets import STATIC, STYLE
from tests.browser.county import County
from tests.browser.windows import AXE

ROOT = Path(__file__).parents[2]
START = datetime(2026, 9, 7, 9, 0, tzinfo=LONDON)
SERVICES = ("referral", "assessment", "notify")

WITHOUT_CHROMIUM = "No Chromium: install it (on Debian: apt-get install chromium), or name yours in CHROMIUM."
WITHOUT_ASSETS = "Style and axe are missing: run `make assets`."


@pytest.fixture(scope="session")
def county() -> Iterator[County]:
    """Real engines, three services with their workers, the pages, and time that stands until it is moved."""
    var = ROOT / "var" / "test" / "browser"
    clock = HeldClock(var / "clock")
    clock.set(START)
    with running_system(
        var,
        say=lambda _: None,
        environ=os.environ,
        services=SERVICES,
        fresh=True,
        free_ports=True,
        cache=ROOT / "var" / "engines",
        extra_env={"LEADLINE_CLOCK_FILE": str(clock.file), "LEADLINE_SCAN_SECONDS": "0.1"},
    ) as system:
        assert system.site is not None
        yield County(system.site, clock, var / "mail")


@pytest.fixture(scope="session")
def chromium(county: County) -> Iterator[Browser]:
    """The machine's own Chromium, without a window.

    After the county: Playwright keeps an event loop running in this thread, and starting engines needs one.
    """
    path = shutil.which(os.environ.get("CHROMIUM") or "chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail(WITHOUT_CHROMIUM)
    if not (STATIC / STYLE).is_file() or not AXE.is_file():
        pytest.fail(WITHOUT_ASSETS)
    # Chromium refuses its sandbox to root, which containers run tests as.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*arguments, "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        browser.close()
