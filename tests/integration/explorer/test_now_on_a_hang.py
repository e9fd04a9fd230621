"""The page `now` in a real Chromium, while a real service hangs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from lab.faults import fault
from lab.hanging import hung
from lab.stack.explorer import Explorer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.fault,
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.nginx,
    pytest.mark.usefixtures("nginx_binary", "postgres"),
]

DRAWN_MS = 60_000
PHONE = {"width": 390, "height": 844}
SCROLLED = "document.querySelector('[data-testid=stMain]')"
"""Streamlit scrolls this, not the page."""
CULPRIT = "POST /v1/friendship_status/calculate-score"


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    """A page as wide and as high as a phone's."""
    context = chromium.new_context(viewport=PHONE)
    yield context.new_page()
    context.close()


def looks_again(page: Page) -> None:
    """Wait until the page has looked again."""
    seen = page.get_by_text("as of ").first.inner_text()
    page.wait_for_function(
        "before => !document.body.innerText.includes(before)", arg=seen, timeout=DRAWN_MS
    )


def chosen(page: Page) -> str:
    return page.locator("[role=tab][aria-selected=true]").inner_text()


def test_it_says_that_it_hangs_names_the_holder_and_its_line_and_looks_again(
    tmp_path: Path, phone: Page
):
    row = fault("B1")
    assert row.site is not None
    line = row.site.resolve()
    with hung(row.id, tmp_path / "run") as store, Explorer.start(tmp_path, store) as explorer:
        phone.goto(explorer.url, wait_until="domcontentloaded")
        phone.get_by_text("It hangs").wait_for(timeout=DRAWN_MS)

        worst = phone.locator(".st-key-blocker")
        worst.get_by_text(line).wait_for(timeout=DRAWN_MS)
        words = worst.inner_text()
        assert CULPRIT in words
        assert "blocks the event loop" in words
        bottom = worst.bounding_box()
        assert bottom is not None
        assert bottom["y"] + bottom["height"] <= PHONE["height"]

        phone.get_by_role("tab", name="Who holds what").click()
        phone.evaluate(f"{SCROLLED}.scrollTop = 400")
        for _ in range(2):
            looks_again(phone)
            assert phone.get_by_text("It hangs").is_visible()
            # Looking again must not move what somebody reads.
            assert phone.evaluate(f"{SCROLLED}.scrollTop") == 400
            assert chosen(phone) == "Who holds what"

        worst.get_by_role("link").click()
        phone.wait_for_url("**/request?trace=*", timeout=DRAWN_MS)
