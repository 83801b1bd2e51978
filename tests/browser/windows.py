"""Windows of a real Chromium: somebody signs in, looks, and every page is looked at by axe as well."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Response, expect

from tests.browser.county import County, eventually

ROOT = Path(__file__).parents[2]
AXE = ROOT / "services" / "kernel" / "web" / "pages" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
SCREENS = ROOT / "var" / "screens"
DESKTOP = {"width": 1280, "height": 900}
TELEPHONE = {"width": 320, "height": 640}
"""The narrowest that WCAG 2.2 asks for (1.4.10)."""
PAPER = {"width": 700, "height": 990}
"""About the width that a browser gives to a page of A4."""
TAB_STOPS = 100
"""More than any page of these tests has before what it is for."""

FIND_VIOLATIONS = """
    async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
        (each) => `${each.id}: ${each.help}: ${each.nodes.map((node) => node.html).join(" ").slice(0, 600)}`)
"""
NOT_FOR_PAPER = ("nav", "header", "footer", "button", "select", "input:not([type=hidden])", "summary")


@dataclass
class Window:
    """One window of one person."""

    page: Page
    county: County
    faults: list[str] = field(default_factory=list)
    """What the browser complained of: scripts that failed, what the security policy refused, failed loads."""

    def watch(self) -> None:
        """Take down what the browser complains of."""
        self.page.on("pageerror", self._note)
        self.page.on("console", self._hear)
        self.page.on("response", self._receive)

    def open(self, path: str) -> None:
        """Open a page."""
        self.page.goto(f"{self.county.site}{path}", wait_until="load")

    def sign_in(self, person: str, *, to: str = "/inbox") -> None:
        """Choose somebody from the list."""
        self.open(f"/sign-in?next={quote(to, safe='')}")
        self.choose(person)

    def choose(self, person: str) -> None:
        """Choose somebody from the list that is open."""
        self.page.locator(f'button[value="{person}"]').click()
        expect(self.page.get_by_role("button", name=f"Sign out {person}")).to_be_attached()

    def card(self, about: UUID) -> Locator:
        """Return the alert of this page that is about a case or a referral."""
        return self.page.locator("[data-alert]").filter(has_text=str(about)[:8])

    def leaf_through(self, path: str, selector: str) -> bool:
        """Open a list page by page until one holds something; return whether any does."""
        self.open(path)
        while not self.page.locator(selector).count():
            following = self.page.locator('a[rel="next"]')
            if not following.count():
                return False
            following.click()
            self.page.wait_for_load_state("load")
        return True

    def reload_until(self, words: str) -> None:
        """Load the page again until it holds some words."""

        def holds() -> bool:
            self.page.reload(wait_until="load")
            return words in self.page.locator("main").inner_text()

        eventually(holds, f"{self.page.url} says: {words}")

    def tab_to(self, goal: Locator) -> None:
        """Press the tab key until something has the focus."""
        for _ in range(TAB_STOPS):
            self.page.keyboard.press("Tab")
            if goal.evaluate("(goal) => goal === document.activeElement"):
                return
        raise AssertionError(f"{goal} is not within {TAB_STOPS} tab stops")

    def mark(self) -> None:
        """Mark this document: another one, after a reload, has no such mark."""
        self.page.evaluate("() => { window.sameDocument = true; }")

    def is_same_document(self) -> bool:
        """Return whether the page was not loaded again since it was marked."""
        return bool(self.page.evaluate("() => window.sameDocument === true"))

    def inspect(self, name: str) -> None:
        """Take a picture of this page, wide and narrow, and let axe and a ruler find nothing wrong."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        for suffix, size in (("", DESKTOP), ("-telephone", TELEPHONE)):
            self.page.set_viewport_size({"width": size["width"], "height": size["height"]})
            self.page.screenshot(path=SCREENS / f"{name}{suffix}.png", full_page=True)
            width = self.page.evaluate("() => document.documentElement.scrollWidth")
            assert width <= size["width"], f"{name} is {width} pixels wide on a screen of {size['width']}"
            # By evaluation, not by a script tag: the page's own policy refuses those, and stays in force.
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
            violations = self.page.evaluate(FIND_VIOLATIONS)
            assert not violations, f"{name}{suffix}: {violations}"
        self.page.set_viewport_size({"width": DESKTOP["width"], "height": DESKTOP["height"]})

    def print(self, name: str) -> None:
        """Take a picture of this page as it is printed; what cannot be used on paper is not there."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.set_viewport_size({"width": PAPER["width"], "height": PAPER["height"]})
        self.page.emulate_media(media="print")
        self.page.screenshot(path=SCREENS / f"{name}-printed.png", full_page=True)
        for gone in NOT_FOR_PAPER:
            seen = [each.inner_text() for each in self.page.locator(gone).all() if each.is_visible()]
            assert not seen, f"{name} prints {gone}: {seen}"
        width = self.page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= PAPER["width"], f"{name} is {width} pixels wide on paper of {PAPER['width']}"
        self.page.emulate_media(media="screen")
        self.page.set_viewport_size({"width": DESKTOP["width"], "height": DESKTOP["height"]})

    def _note(self, error: Error) -> None:
        self.faults.append(str(error))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            self.faults.append(message.text)

    def _receive(self, response: Response) -> None:
        if not response.ok and response.request.resource_type in {"stylesheet", "script", "fetch"}:
            self.faults.append(f"{response.status} {response.url}")


@contextmanager
def window(
    chromium: Browser, county: County, person: str | None = None, *, scripts: bool = True
) -> Iterator[Window]:
    """Give a window with cookies of its own, signed in as somebody. The browser must not complain."""
    context = chromium.new_context(
        java_script_enabled=scripts, viewport={"width": 1280, "height": 900}, locale="en-GB"
    )
    try:
        opened = Window(context.new_page(), county)
        opened.watch()
        if person is not None:
            opened.sign_in(person)
        yield opened
        assert opened.faults == []
    finally:
        context.close()
