"""A real Chromium without a window, as Debian ships it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from why504.errors import LabError

HOW_TO_GET_IT: Final = "no Chromium: apt-get install -y --no-install-recommends chromium"
_QUIET: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip


def find_binary() -> Path | None:
    """Return Chromium, or None."""
    found = shutil.which("chromium")
    return Path(found) if found else None


@contextmanager
def running() -> Iterator[Browser]:
    """Give a browser that ends with the block; until then no event loop can run in this thread.

    Raises:
        LabError: there is no Chromium.
    """
    binary = find_binary()
    if binary is None:
        raise LabError(HOW_TO_GET_IT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()
