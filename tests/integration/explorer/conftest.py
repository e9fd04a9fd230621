"""One Chromium and one explorer for all files of this folder; whatever complains fails the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from lab.faults import FAULTS, Fault
from lab.matrix.stored import OURS
from lab.run import play
from lab.stack import chromium as program
from lab.stack.explorer import Explorer
from lab.tab import DESK, Tab
from tests.conftest import missing
from tests.integration.explorer import stored_hangs
from why504.alerts.cards.frame import Place, incident_url
from why504.alerts.rooms.finding import Finding
from why504.diagnose import explain
from why504.model import Incident
from why504.stores.parquet import ParquetStore

_running = ExitStack()
_browsers: list[Browser] = []
"""One browser, as long as tests of this folder run."""


@dataclass(frozen=True)
class Shown:
    """A running explorer and what the engine says of the store that it shows."""

    url: str
    """Without a slash at the end."""
    port: int
    hang: Incident
    planted: Incident
    """The same hang later, with hostile text wherever a stranger may choose it."""


@dataclass(frozen=True)
class Demo:
    """A hang that was played on real servers, and an explorer on what was seen of it."""

    fault: Fault
    url: str
    incident: Incident


def card_link(url: str, incident: Incident, victim: int = 0) -> str:
    """Return where the button of a card leads that tells of an incident."""
    finding = incident.finding
    told = Finding(
        cause=finding.cause,
        title=finding.title,
        sentence=finding.sentence,
        chain=(),
        incident_id=incident.id,
        trace_id=incident.victims[victim].trace_id,
        services=(),
    )
    return incident_url(told, Place(explorer_url=url))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None):
    # While Playwright runs no event loop can, and tests of other folders need theirs.
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _running.close()
        _browsers.clear()


@pytest.fixture
def chromium() -> Browser:
    """Debian's Chromium, one for the whole folder; without it these tests are skipped."""
    if program.find_binary() is None:
        missing(program.HOW_TO_GET_IT)
    if not _browsers:
        _browsers.append(_running.enter_context(program.running()))
    return _browsers[0]


@pytest.fixture(scope="session")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The explorer on two hangs: an ordinary one, and later one with planted markup."""
    folder = tmp_path_factory.mktemp("explorer")
    store = folder / "store"
    stored_hangs.write(store, [*stored_hangs.pool_hang(), *stored_hangs.planted_hang()])
    hang, planted = explained(store)
    with Explorer.start(folder, store) as running:
        yield Shown(running.url, running.port, hang, planted)


def marked_lines(page: Page) -> list[str]:
    """The lines of the page's stacks that are marked as those that block."""
    stacks = page.locator("[class*=st-key-lines_]").all_inner_texts()
    return [line for stack in stacks for line in stack.split("\n") if line.strip().startswith("→")]


def explained(store: Path) -> list[Incident]:
    """What the engine says of a small store, the earliest first."""
    read = ParquetStore(store)
    window = read.extent()
    assert window is not None
    return sorted(explain(read.evidence(window)), key=lambda incident: incident.window.start_ns)


@pytest.fixture(scope="session")
def demo(
    tmp_path_factory: pytest.TempPathFactory, nginx_binary: Path, postgres_binaries: Path
) -> Iterator[Demo]:
    """The hang that `make demo` plays, on a real service behind a real nginx; half a minute."""
    row = FAULTS[0]
    folder = tmp_path_factory.mktemp("demo") / row.id
    play(row.id, folder=folder, seed=1)
    incident = max(explained(folder / OURS), key=lambda incident: incident.count)
    with Explorer.start(folder / "explorer", folder / OURS) as running:
        yield Demo(row, running.url, incident)


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Callable[..., Tab]]:
    """Open tabs in fresh profiles, `opened(width=390, theme="dark")`.

    Fails if a console, a script or the network complained in any of them.
    """
    tabs: list[Tab] = []

    def one(**options: Any) -> Tab:
        tabs.append(Tab.opened(chromium, **options))
        return tabs[-1]

    yield one
    for tab in tabs:
        tab.context.close()
    assert [wrong for tab in tabs for wrong in tab.wrong] == []


@pytest.fixture
def tab(opened: Callable[..., Tab], request: pytest.FixtureRequest) -> Tab:
    """A tab as wide as the test's parameter says, or as a desk's screen."""
    return opened(width=getattr(request, "param", DESK))
