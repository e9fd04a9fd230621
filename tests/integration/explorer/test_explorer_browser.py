"""The explorer in a real Chromium, on what the receiver's own writer stored."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from lab.stack.ports import free_port
from tests.integration.explorer import stored_hangs
from why504.diagnose import explain
from why504.model import Incident
from why504.stores.parquet import ParquetStore

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EXPLORER = Path(__file__).parents[3] / "dashboards" / "explorer.py"
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
READY_S = 60
DRAWN_MS = 30_000
ROW_PX = 35


@dataclass(frozen=True)
class Explorer:
    """A running explorer and what the engine says of the store that it shows."""

    url: str
    port: int
    hang: Incident
    planted: Incident


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; without it these tests are skipped, but never in CI."""
    binary = shutil.which("chromium")
    if binary is None:
        reason = "no Chromium: apt-get install -y --no-install-recommends chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    """The explorer on two hangs: an ordinary one, and later one with planted markup."""
    store = tmp_path_factory.mktemp("explorer")
    stored_hangs.write(store, [*stored_hangs.pool_hang(), *stored_hangs.planted_hang()])
    read = ParquetStore(store)
    window = read.extent()
    assert window is not None
    hang, planted = sorted(explain(read.evidence(window)), key=lambda i: i.window.start_ns)
    with serving(store) as port:
        yield Explorer(f"http://127.0.0.1:{port}/", port, hang, planted)


class serving:
    """Run the explorer on a store, from a folder that is not the project's."""

    def __init__(self, store: Path) -> None:
        self.port = free_port()
        self.store = store

    def __enter__(self) -> int:
        command = [sys.executable, "-m", "streamlit", "run", str(EXPLORER)]
        command += ["--server.port", str(self.port), "--", "--store", str(self.store)]
        self.process = subprocess.Popen(
            command, cwd=self.store, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + READY_S
        while not self._healthy():
            assert self.process.poll() is None, "the explorer ended by itself"
            assert time.monotonic() < deadline, "the explorer did not start"
            time.sleep(0.1)
        return self.port

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)

    def _healthy(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.port}/_stcore/health"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@dataclass
class Visit:
    """One opened page, and everything that went wrong on it."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    def open(self, url: str, *, charts: int = 2) -> Page:
        self.page.goto(url, wait_until="domcontentloaded")
        if charts:
            drawn = self.page.locator("[data-testid=stVegaLiteChart] :is(canvas, svg)")
            drawn.nth(charts - 1).wait_for(timeout=DRAWN_MS)
        self.settled()
        return self.page

    def settled(self) -> None:
        at_rest = "[data-testid=stApp][data-test-script-state=notRunning]"
        self.page.locator(at_rest).wait_for(timeout=DRAWN_MS)


@pytest.fixture
def visit(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Open pages in a fresh browser profile; fails if the console or the network complained."""
    width = getattr(request, "param", 1280)
    context = chromium.new_context(
        viewport={"width": width, "height": 3600}, timezone_id="Europe/Helsinki"
    )
    visited = Visit(context.new_page())
    page = visited.page
    page.on("console", lambda m: visited.wrong.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: visited.wrong.append(str(error)))
    page.on("requestfailed", lambda asked: visited.wrong.append(asked.url))
    yield visited
    context.close()
    assert visited.wrong == []


def cells(page: Page, table: int) -> str:
    """Everything that a screen reader finds in one table of the page."""
    found = page.locator("[data-testid=stDataFrame]").nth(table).locator("td, [role=gridcell]")
    found.first.wait_for(state="attached", timeout=DRAWN_MS)
    return "\n".join(found.all_text_contents())


def shown(page: Page) -> str:
    return page.locator("[data-testid=stMain]").inner_text()


def tick(page: Page, table: int, row: int) -> None:
    # The table is a canvas: a row's box has a place, but no element of its own.
    grid = page.locator("[data-testid=stDataFrame]").nth(table)
    grid.locator("canvas").first.wait_for(timeout=DRAWN_MS)
    grid.click(position={"x": 16, "y": ROW_PX * (row + 1) + ROW_PX // 2})


def test_a_504_is_explained_from_the_sentence_to_the_line_that_blocked(
    explorer: Explorer, visit: Visit
):
    page = visit.open(f"{explorer.url}?incident={explorer.hang.id}")

    words = shown(page)
    assert explorer.hang.finding.sentence in words
    assert "What to do" in words
    assert "Times are Europe/Helsinki." in words
    assert "waiting for db.pool:main" in cells(page, 1)
    assert explorer.hang.victims[0].trace_id in cells(page, 1)
    stack = page.locator("[data-testid=stCode]").last.inner_text()
    assert any("→" in line and "publisher.py" in line for line in stack.split("\n"))


def test_ticking_a_504_changes_the_address_and_the_address_survives_a_reload(
    explorer: Explorer, visit: Visit
):
    wanted = explorer.hang.victims[2].trace_id
    page = visit.open(f"{explorer.url}?incident={explorer.hang.id}")

    tick(page, 1, 2)
    page.wait_for_url(f"**/?incident={explorer.hang.id}&trace={wanted}", timeout=DRAWN_MS)
    page.get_by_text(f"Trace: {wanted}").wait_for(timeout=DRAWN_MS)
    page.reload(wait_until="domcontentloaded")

    page.get_by_text(f"Trace: {wanted}").wait_for(timeout=DRAWN_MS)
    assert page.url.endswith(f"trace={wanted}")


def test_choosing_a_504_from_the_list_draws_it(explorer: Explorer, visit: Visit):
    wanted = explorer.hang.victims[3].trace_id
    page = visit.open(f"{explorer.url}?incident={explorer.hang.id}")

    page.get_by_role("combobox").click()
    page.get_by_role("option").nth(3).click()

    page.get_by_text(f"Trace: {wanted}").wait_for(timeout=DRAWN_MS)


def test_ticking_an_incident_opens_it(explorer: Explorer, visit: Visit):
    page = visit.open(explorer.url)

    tick(page, 0, 1)

    page.wait_for_url(f"**/?incident={explorer.hang.id}", timeout=DRAWN_MS)
    page.get_by_text(explorer.hang.finding.sentence).wait_for(timeout=DRAWN_MS)


def test_markup_in_telemetry_is_shown_as_text_also_in_a_tooltip(explorer: Explorer, visit: Visit):
    page = visit.open(f"{explorer.url}?incident={explorer.planted.id}")

    chart = page.locator("[data-testid=stVegaLiteChart]").nth(1)
    box = chart.bounding_box()
    assert box is not None
    tooltip = page.locator("#vg-tooltip-element")
    for y in range(100, int(box["height"]), 6):
        chart.hover(position={"x": box["width"] / 2, "y": y})
        if tooltip.is_visible() and "planted" in tooltip.inner_text():
            break
    assert "<script>window.planted=1</script>" in tooltip.inner_text()
    assert '<img src=x onerror="window.planted=1">' in shown(page)
    assert page.evaluate("window.planted") is None
    assert page.locator("img[src=x], a[href*=planted], a[href^=javascript]").count() == 0
    assert "\u202e" not in page.content()


@pytest.mark.parametrize("visit", [390], indirect=True)
def test_nothing_sticks_out_on_a_phone(explorer: Explorer, visit: Visit):
    page = visit.open(f"{explorer.url}?incident={explorer.planted.id}")

    widest = page.evaluate(
        "Math.max(...[...document.querySelectorAll('[data-testid=stMain] [data-testid]')]"
        ".map(e => e.getBoundingClientRect().right))"
    )
    assert widest <= 390


def test_an_empty_store_says_what_to_do_and_only_this_machine_may_ask(tmp_path: Path, visit: Visit):
    with serving(tmp_path) as port:
        page = visit.open(f"http://127.0.0.1:{port}/", charts=0)
        page.get_by_text("make demo").wait_for(timeout=DRAWN_MS)

        assert listening_on(port) == {"0100007F"}
        visit.page.close()


def listening_on(port: int) -> set[str]:
    """Return the addresses, as Linux writes them, on which somebody listens at `port`."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            if state == "0A" and address.endswith(f":{port:04X}"):
                found.add(address.split(":")[0])
    return found
