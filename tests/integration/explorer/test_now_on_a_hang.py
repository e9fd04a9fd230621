"""The page `now` in a real Chromium, while a real service hangs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from lab.faults import ROOT, fault
from lab.stack.ports import free_port
from tests.integration.explorer.hung_service import hung

pytestmark = [
    pytest.mark.browser,
    pytest.mark.fault,
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.nginx,
    pytest.mark.usefixtures("nginx_binary", "postgres"),
]

QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
READY_S = 60
DRAWN_MS = 60_000
PHONE = {"width": 390, "height": 844}
SCROLLED = "document.querySelector('[data-testid=stMain]')"
"""Streamlit scrolls this, not the page."""
CULPRIT = "POST /v1/friendship_status/calculate-score"


@contextmanager
def explorer(store: Path, folder: Path) -> Iterator[str]:
    """Run the explorer on a store and yield its address."""
    port = free_port()
    page = ROOT / "dashboards" / "explorer.py"
    command = [sys.executable, "-m", "streamlit", "run", str(page), "--server.port", str(port)]
    log = (folder / "explorer.log").open("wb")
    process = subprocess.Popen(
        [*command, "--", "--store", str(store)], cwd=folder, stdout=log, stderr=log
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        deadline_s = time.monotonic() + READY_S
        while not healthy(url):
            assert process.poll() is None, "the explorer ended by itself"
            assert time.monotonic() < deadline_s, "the explorer did not start"
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def phone() -> Iterator[Page]:
    """A page as wide and as high as a phone's, in Debian's Chromium."""
    binary = shutil.which("chromium")
    if binary is None:
        reason = "no Chromium: apt-get install -y --no-install-recommends chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=list(QUIET))
        yield browser.new_context(viewport=PHONE).new_page()
        browser.close()


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
    with hung(row.id, tmp_path / "run") as store, explorer(store, tmp_path) as url:
        phone.goto(url, wait_until="domcontentloaded")
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
