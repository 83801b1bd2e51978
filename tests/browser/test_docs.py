"""The page of the API in a real browser."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.county import County

pytestmark = [pytest.mark.browser, pytest.mark.connected]


def test_the_page_of_the_api_loads_nothing_from_elsewhere(chromium: Browser, county: County) -> None:
    """It shows every operation, and its content security policy has nothing to refuse."""
    page = chromium.new_page()
    asked, complaints = list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{county.site}/docs")
    expect(page.get_by_text("Refer a child")).to_be_visible()
    page.get_by_text("Refer a child").click()
    expect(page.get_by_text("Idempotency-Key", exact=False).first).to_be_visible()
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith("data:")}
    assert hosts == {urlsplit(county.site).netloc}
    assert complaints == []
    page.close()
