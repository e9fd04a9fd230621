"""How long the explorer lets people wait: `make bench-explorer`.

A store of a million spans with two incidents (busy_day.py), explorers as processes of their own, a
real Chromium. A first view is that of a fresh browser profile on an explorer that has just been
started and says that it is healthy: until the incident's sentence can be read, until the last came
of what is in the window, and until the whole page is at rest (lab/tab.py), which is several screens
long and is drawn while people read the first. A click counts from the pointer or key to the last
change of the page. The median of several is judged, on the machine that the targets were set for:
docs/adr/0012.

Baselines, of the same run: for a first view `why504 explain` in a terminal; for a click what it
costs to read and explain the store anew, as a page has to that keeps nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from playwright.sync_api import Browser

from bench import busy_day, yardstick
from bench.explorer.clicks import CLICKS, Click, Scene
from lab.prove.verdict import Check, Journal, Verdict, publish
from lab.stack import chromium
from lab.stack.explorer import Explorer
from lab.tab import DRAWN_MS, Tab
from why504.diagnose import explain
from why504.model import Incident
from why504.stores.parquet import ParquetStore

SPANS: Final = 1_000_000
VICTIMS: Final = 10_000
VIEW_S: Final = 2.0
WHOLE_S: Final = 3.0
CLICK_S: Final = 1.0
ROUNDS: Final = 5
TARGETS_S: Final = {
    "(the explorer starts)": None,
    "the sentence": VIEW_S,
    "what is in the window": VIEW_S,
    "the whole page": WHOLE_S,
}
SCREEN_PX: Final = 900
"""Height of the window."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured on what."""

    browser: Browser
    folder: Path
    store: Path
    incidents: Sequence[Incident]
    rounds: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when nobody had to wait for longer than the targets say."""
    parser = argparse.ArgumentParser(prog="python -m bench.explorer", description=__doc__)
    parser.add_argument("--spans", type=int, default=SPANS, help="rows of the store")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="times that each is done")
    given = parser.parse_args(arguments)
    say = Journal()
    with tempfile.TemporaryDirectory(prefix="why504-bench-") as folder:
        verdict = measure(Path(folder), given.spans, given.rounds, say)
    rehearsal = given.spans < SPANS or given.rounds < ROUNDS
    return publish(verdict, duration_s=say.elapsed_s, rehearsal=rehearsal)


def measure(folder: Path, spans: int, rounds: int, say: Journal) -> Verdict:
    """Return how long views and clicks take, beside what it would take without an explorer."""
    store = folder / "store"
    busy_day.write(store, spans, min(VICTIMS, spans // 100))
    say(f"{spans:,} spans written")
    machine = yardstick.machine()
    anew_s, incidents = _anew(store)
    terminal_s = min(_explained_in_a_terminal(store) for _ in range(rounds))
    say(f"explained in a terminal in {terminal_s:.2f} s, in an open process in {anew_s:.2f} s")
    verdict = Verdict("bench-explorer")
    verdict.facts["speed of this machine, 1 = the targets'"] = round(machine, 2)
    with chromium.running() as browser:
        setting = Setting(browser, folder, store, incidents, rounds)
        for view, lasted_s in _views(setting, say).items():
            limits_s = TARGETS_S[view], terminal_s
            _judge(verdict, f"first view, {view}", lasted_s, limits_s, machine)
        for what, lasted_s in _clicks(setting, say).items():
            _judge(verdict, what, lasted_s, (CLICK_S, anew_s), machine)
    return verdict


def _judge(
    verdict: Verdict, what: str, lasted_s: Sequence[float],
    limits_s: tuple[float | None, float],
    machine: float,
) -> None:  # fmt: skip
    """Add one figure; `limits_s` are its target and its baseline."""
    target_s, baseline_s = limits_s
    if target_s is None:
        verdict.checks.append(Check(what, median(lasted_s), None, "s"))
    else:
        typical_s = median(lasted_s)
        verdict.checks += yardstick.seconds(what, typical_s, target_s, machine, baseline_s)
    verdict.facts[f"{what}, each, s"] = [round(each_s, 2) for each_s in lasted_s]


def _anew(store: Path) -> tuple[float, list[Incident]]:
    """Return how long it takes to read and explain a store that is open, and its incidents."""
    read = ParquetStore(store)
    window = read.extent()
    assert window is not None  # noqa: S101 - it was just written
    lasted_s = []
    for _ in range(3):
        began_s = time.perf_counter()
        incidents = explain(read.sample(window))
        lasted_s.append(time.perf_counter() - began_s)
    return min(lasted_s), sorted(incidents, key=lambda incident: -incident.window.start_ns)


def _explained_in_a_terminal(store: Path) -> float:
    command = [sys.executable, "-m", "why504.cli", "explain", "--store", str(store)]
    began_s = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - began_s


def _views(setting: Setting, say: Journal) -> dict[str, list[float]]:
    """Return how long each first view took, by the keys of `TARGETS_S`."""
    found: dict[str, list[float]] = {view: [] for view in TARGETS_S}
    for number in range(setting.rounds):
        began_s = time.perf_counter()
        with Explorer.start(setting.folder / f"explorer-{number}", setting.store) as explorer:
            started_s = time.perf_counter() - began_s
            view_s = (started_s, *_view(setting, explorer.url))
        for lasted_s, took_s in zip(found.values(), view_s, strict=True):
            lasted_s.append(took_s)
        say("started, sentence, window, whole page: " + _told(view_s))
    return found


def _view(setting: Setting, url: str) -> tuple[float, float, float]:
    """Return when the sentence, what is in the window and the whole page were there."""
    incident = setting.incidents[0]
    tab = Tab.opened(setting.browser, height=SCREEN_PX)
    began_s = time.perf_counter()
    tab.page.goto(f"{url}/incident?incident={incident.id}", wait_until="commit")
    tab.page.get_by_text(incident.finding.sentence).first.wait_for(timeout=DRAWN_MS)
    sentence_s = time.perf_counter() - began_s
    whole_s = tab.at_rest()
    window_s = tab.window_took_s
    tab.context.close()
    return sentence_s, window_s, whole_s


def _told(lasted_s: Sequence[float]) -> str:
    return ", ".join(f"{each_s:.2f}" for each_s in lasted_s) + " s"


def _clicks(setting: Setting, say: Journal) -> dict[str, list[float]]:
    """Return how long each click took, on one explorer that somebody has looked at before."""
    first, second = setting.incidents[:2]
    with Explorer.start(setting.folder / "explorer", setting.store) as explorer:
        tab = Tab.opened(setting.browser, height=SCREEN_PX)
        scene = Scene(tab, explorer.url, first, second)
        found = {click.name: _click(scene, click, setting.rounds, say) for click in CLICKS}
        tab.context.close()
    return found


def _click(scene: Scene, click: Click, rounds: int, say: Journal) -> list[float]:
    lasted_s = []
    for _ in range(rounds):
        click.ready(scene)
        click.act(scene)
        click.seen(scene)
        lasted_s.append(scene.tab.at_rest())
    say(f"{click.name}: {_told(lasted_s)}")
    return lasted_s


if __name__ == "__main__":
    sys.exit(main())
