"""200 requests that hang for long: what is written, what the process needs, what is still told.

Beside it the same service, hung the same way, without the probe.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lab.prove.run import Run
from lab.prove.verdict import Check, Verdict
from lab.strangers.bare import Bare, bare
from lab.strangers.play import largest, problems_of
from lab.strangers.relay import CountingRelay
from lab.strangers.rig import Rig
from lab.strangers.table import STRANGERS, Calls, Stranger
from why504.config import ProbeSettings
from why504.diagnose import explain
from why504.model import Window
from why504.probe.telling.rhythm import Rhythm, Telling
from why504.receive.segments import Segments

REQUESTS: Final = 200
CALLS: Final = Calls("POST", "/rides/{n}/price", REQUESTS)
STRANGER: Final = "asyncpg"
GATEWAY_TIMEOUT_S: Final = 20.0
LASTS_S: Final = 420.0
REHEARSAL_S: Final = 45.0
SETTLED_S: Final = 60.0
"""Until then what is imported and allocated once is."""
LOOK_EVERY_S: Final = 15.0
LONG_S: Final = 36_000.0
MOST_WRITTEN_MB: Final = 20.0
MOST_GROWTH_MB: Final = 4.0
_MB: Final = 1e6
_LATEST_S: Final = 120.0
_OPEN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen `at_s` seconds after the hang began; CPU seconds since the process began."""

    at_s: float
    sent_bytes: int
    stored_bytes: int
    rss_bytes: int
    cpu_s: float
    bare_cpu_s: float
    problems: Sequence[str]
    """What was wrong about what was told; empty when all was right."""


def prove(run: Run) -> Verdict:
    """Hang a service, look at it again and again, kill it, and look once more."""
    lasts_s = run.lasts_s or (REHEARSAL_S if run.rehearsal else LASTS_S)
    row = next(one for one in STRANGERS if one.id == STRANGER)
    stranger = replace(row, calls=(CALLS,))
    run.say("starting PostgreSQL, nginx, the receiver and the service, with the probe and without")
    rig = Rig.start(run.folder, run.stack, gateway_timeout_s=GATEWAY_TIMEOUT_S)
    relay = run.stack.enter_context(CountingRelay(rig.endpoint))
    rig.endpoint = relay.url
    other = run.stack.enter_context(bare(row, run.folder, rig.environment(row)))
    with rig.serving(stranger) as process, other.hung(CALLS):
        hung_ns, sent_bytes = time.time_ns(), relay.sent_bytes
        with rig.asked(stranger):
            run.say(f"{REQUESTS} requests hang, for {lasts_s:g} s")
        watch = _Watch(rig, stranger, relay, hung_ns, sent_bytes)
        looks = [watch.look(process.pid, other)]
        while looks[-1].at_s < lasts_s:
            time.sleep(min(LOOK_EVERY_S, max(0.5, lasts_s - looks[-1].at_s)))
            looks.append(watch.look(process.pid, other))
            run.say(_said(looks[-1]))
        run.say("kill -9 of the service and of the receiver")
        process.kill()
        rig.received.kill()
        merged_bytes = _merged_bytes(rig.store_folder / "segments", run.folder / "merged")
        return _verdict(looks, watch.told(), lasts_s, merged_bytes)


class _Watch:
    """Looks at a hung service from beside."""

    def __init__(
        self, rig: Rig, stranger: Stranger, relay: CountingRelay, hung_ns: int, sent_bytes: int
    ) -> None:
        self._rig = rig
        self._stranger = stranger
        self._relay = relay
        self._hung_ns = hung_ns
        self._sent_bytes = sent_bytes

    def look(self, pid: int, other: Bare) -> Look:
        """Look once."""
        return Look(
            (time.time_ns() - self._hung_ns) / 1e9,
            self._relay.sent_bytes - self._sent_bytes,
            sum(f.stat().st_size for f in self._rig.store_folder.rglob("*") if f.is_file()),
            _rss_bytes(pid),
            _cpu_s(pid),
            _cpu_s(other.process.pid),
            self.told() + self._now(),
        )

    def told(self) -> list[str]:
        """Return what is wrong about what is said of the 504s."""
        evidence = self._rig.store.evidence(Window(self._hung_ns, time.time_ns()))
        return problems_of(self._stranger, largest(explain(evidence)))

    def _now(self) -> list[str]:
        """Return what is wrong about what is said of the latest two minutes: what is open then."""
        now_ns = time.time_ns()
        if now_ns - self._hung_ns < _OPEN_S * 2e9:
            return []
        window = Window(max(self._hung_ns, now_ns - int(_LATEST_S * 1e9)), now_ns)
        evidence = self._rig.store.evidence(window)
        found = largest(explain(evidence, slower_than_s=_OPEN_S))
        missing = [] if found and found.count == REQUESTS else ["not all that hang are told"]
        return problems_of(self._stranger, found) + missing


def _said(look: Look) -> str:
    return (
        f"{look.at_s:.0f} s: {look.sent_bytes / _MB:.2f} MB sent, {look.stored_bytes / _MB:.2f} MB"
        f" stored, {look.rss_bytes / _MB:.0f} MB of memory; "
        + ("; ".join(look.problems) or "the cause is told")
    )


def _verdict(
    looks: Sequence[Look], after: Sequence[str], lasts_s: float, merged_bytes: int
) -> Verdict:
    settled = [look for look in looks if look.at_s >= min(SETTLED_S, lasts_s / 3)]
    first, last = settled[0], settled[-1]
    passed_s = last.at_s - first.at_s
    cpu = 100 * (last.cpu_s - first.cpu_s) / passed_s
    bare_cpu = 100 * (last.bare_cpu_s - first.bare_cpu_s) / passed_s
    growth_mb = (max(look.rss_bytes for look in settled) - first.rss_bytes) / _MB
    at_s = [look.at_s for look in settled]
    sent_mb = _in_long(at_s, [look.sent_bytes for look in settled]) / _MB
    # What is not merged yet is as much after ten hours; the rest grows with what is sent.
    unmerged_mb = (last.stored_bytes - merged_bytes) / _MB
    stored_mb = sent_mb * merged_bytes / last.sent_bytes + unmerged_mb
    wrong = sum(bool(look.problems) for look in looks[1:])
    verdict = Verdict("prove-hang")
    verdict.checks += [
        Check("looks at which the cause was not told", wrong, 0),
        Check("after kill -9 of service and receiver: not told", float(bool(after)), 0),
        Check(f"sent in {lasts_s:.0f} s", round(last.sent_bytes / _MB, 2), None, "MB"),
        Check("sent in 10 h, by the rhythm of telling", round(sent_mb, 1), MOST_WRITTEN_MB, "MB"),
        Check(f"stored in {lasts_s:.0f} s", round(last.stored_bytes / _MB, 2), None, "MB"),
        Check("... of it once merged", round(merged_bytes / _MB, 2), None, "MB"),
        Check("stored in 10 h, by what is sent", round(stored_mb, 1), MOST_WRITTEN_MB, "MB"),
        Check("memory that grew once settled", round(growth_mb, 2), MOST_GROWTH_MB, "MB"),
        Check("CPU of the hung process", round(cpu, 2), None, "%", round(bare_cpu, 2)),
        # No target: what a process may use that does nothing is `make bench-harm`'s to judge.
        Check("... more than without the probe", round(cpu - bare_cpu, 2), None, "%"),
    ]
    verdict.facts |= {
        "requests": REQUESTS,
        "looks": len(looks),
        "slope of memory, MB an hour": round(_slope(settled) * 3600 / _MB, 2),
        "tellings of one thing in 10 h": tellings(LONG_S),
        "problems": sorted({p for look in looks[1:] for p in look.problems} | set(after)),
    }
    return verdict


def tellings(until_s: float) -> int:
    """Return how often one thing is told that is open for so long, by the probe's own rhythm."""
    usual = ProbeSettings()
    telling = Telling(0.0, Rhythm(usual.snapshot_after_s, usual.snapshot_longest_s))
    while telling.due_s <= until_s:
        telling.tell(telling.due_s)
    return telling.sequence


def _merged_bytes(segments: Path, folder: Path) -> int:
    """Return what a store's segments take as one: the receiver merges them when there are many."""
    rows = pa.concat_tables([pq.ParquetFile(file).read() for file in segments.glob("*.parquet")])
    Segments(folder).write_table("all", rows.unify_dictionaries())
    return sum(file.stat().st_size for file in folder.iterdir())


def _in_long(at_s: Sequence[float], seen_bytes: Sequence[int]) -> float:
    """Return what is written in ten hours: so much a telling, and so much a second, as measured."""
    told = np.array([[tellings(s), s, 1.0] for s in at_s])
    a_telling, a_second, begun = np.linalg.lstsq(told, np.array(seen_bytes, float), rcond=None)[0]
    return float(
        max(a_telling, 0.0) * tellings(LONG_S) + max(a_second, 0.0) * LONG_S + max(begun, 0.0)
    )


def _slope(looks: Sequence[Look]) -> float:
    """Return bytes of memory a second."""
    times_s, rss = [look.at_s for look in looks], [look.rss_bytes for look in looks]
    return float(np.polyfit(times_s, rss, 1)[0]) if len(looks) > 1 else 0.0


def _rss_bytes(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _cpu_s(pid: int) -> float:
    told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
