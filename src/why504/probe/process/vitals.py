"""What the process uses and lacks: CPU, a core to run on, memory, time for garbage collection.

A stall says that nothing moved; only this says whether the process could not run, collected
garbage or swapped meanwhile. Linux tells it in /proc and in the control group, older and newer:
https://docs.kernel.org/scheduler/sched-stats.html, https://docs.kernel.org/admin-guide/cgroup-v2.html
Elsewhere CPU, faults and collections are all that is told.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from why504 import names
from why504.probe.inflight import Place, Registry
from why504.probe.loop.garbage import Collections
from why504.probe.process.procfile import text, words
from why504.probe.telling.openrecord import OpenRecord, RecordBook
from why504.probe.telling.rhythm import pieces_s

if TYPE_CHECKING:
    from why504.probe.loop.stall import Watchdog

LOOK_S: Final = 1.0
_BUSY_S: Final = 2.0
"""Length of an interval while something noteworthy begins; it grows while that goes on."""
_QUIET_S: Final = 30.0
"""Longest interval, and that while nothing is noteworthy."""
_NOTEWORTHY_SHARE: Final = 0.1
"""Share of the time without a core, or in collections, from which one looks closer."""
_NOTEWORTHY_AGE_S: Final = 1.0
"""So does a request that is open for longer than this."""
_PROC: Final = Path("/proc")
_NS: Final = 1e9


@dataclass(frozen=True, slots=True)
class Reading:
    """Totals since the process began, and memory as of now."""

    at_s: float
    cpu_s: float
    delay_s: float
    throttled_s: float
    gc_s: float
    faults: int
    rss_bytes: int

    def since(self, earlier: Reading) -> Mapping[str, float | int]:
        """Return what an interval's record says."""
        return {
            names.CPU_USED_S: self.cpu_s - earlier.cpu_s,
            names.CPU_DELAY_S: self.delay_s - earlier.delay_s,
            names.CPU_THROTTLED_S: self.throttled_s - earlier.throttled_s,
            names.GC_CPU_S: self.gc_s - earlier.gc_s,
            names.MAJOR_FAULTS: self.faults - earlier.faults,
            names.MEMORY_RSS: self.rss_bytes,
        }

    def noteworthy_since(self, earlier: Reading) -> bool:
        """Return whether the process lacked something since."""
        lacked_s = self.delay_s - earlier.delay_s + self.throttled_s - earlier.throttled_s
        limit_s = (self.at_s - earlier.at_s) * _NOTEWORTHY_SHARE
        return lacked_s > limit_s or self.gc_s - earlier.gc_s > limit_s


@dataclass(slots=True)
class Kernel:
    """What Linux tells of this process; zeros where it tells nothing."""

    proc: Path = _PROC
    groups: Path = Path("/sys/fs/cgroup")
    _delays_ns: dict[str, int] = field(default_factory=dict)
    _delay_ns: int = 0
    _found: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Where each file of the control group is."""

    def delay_s(self, late_s: float = 0.0) -> float:
        """Return how long this process could run and had no core.

        Of each look only the thread counts that lacked it most: of forty that wake up one after
        another each waits a little, which added up looks like a process that can't run at all.
        If the look comes late by itself, nothing got on meanwhile: then threads lacked it in turn.

        Args:
            late_s: how late this look is.
        """
        tasks = f"{self.proc}/self/task"
        try:
            threads = os.listdir(tasks)
        except OSError:
            return 0.0
        known, self._delays_ns = self._delays_ns, {}
        most_ns, all_ns = 0, 0
        for thread in threads:
            told = words(f"{tasks}/{thread}/schedstat")
            if len(told) > 1:
                now_ns = int(told[1])
                self._delays_ns[thread] = now_ns
                # A number that is used again for another thread begins anew.
                before_ns = known.get(thread, 0)
                lacked_ns = now_ns - before_ns if now_ns >= before_ns else now_ns
                most_ns, all_ns = max(most_ns, lacked_ns), all_ns + lacked_ns
        self._delay_ns += max(most_ns, min(all_ns, int(late_s * _NS)))
        return self._delay_ns / _NS

    def rss_bytes(self) -> int:
        """Return resident memory."""
        told = words(f"{self.proc}/self/statm")
        return int(told[1]) * os.sysconf("SC_PAGE_SIZE") if len(told) > 1 else 0

    def memory_limit_bytes(self) -> int:
        """Return the control group's limit, else the machine's memory."""
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        told = self._group("memory.max", "memory", "memory.limit_in_bytes")
        return min(machine, int(told[0])) if told and told[0].isdigit() else machine

    def throttled_s(self) -> float:
        """Return how long the control group had used up its quota."""
        told = self._group("cpu.stat", "cpu", "cpu.stat")
        pairs = dict(zip(told[::2], told[1::2], strict=False))
        if "throttled_usec" in pairs:
            return int(pairs["throttled_usec"]) / 1e6
        return int(pairs.get("throttled_time", 0)) / _NS

    def cpu_limit(self) -> float | None:
        """Return how many cores the control group may use, None without a quota."""
        newer = self._group("cpu.max", "", "")
        if newer:
            return None if newer[0] == "max" else int(newer[0]) / int(newer[1])
        quota = self._group("", "cpu", "cpu.cfs_quota_us")
        period = self._group("", "cpu", "cpu.cfs_period_us")
        if not quota or not period or int(quota[0]) <= 0:
            return None
        return int(quota[0]) / int(period[0])

    def _group(self, newer: str, controller: str, older: str) -> list[str]:
        """Return the words of a file of this process's control group, of whichever version."""
        asked = newer, controller, older
        told = words(self._found[asked]) if asked in self._found else []
        if told:
            return told
        for place in self._places(*asked):
            if told := words(place):
                self._found[asked] = place
                return told
        return []

    def _places(self, newer: str, controller: str, older: str) -> Iterator[str]:
        for line in text(f"{self.proc}/self/cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            # Inside a container the path is that of the host, and the group is mounted as root.
            for inside in (path.lstrip("/"), "."):
                if not controllers and newer:
                    yield f"{self.groups}/{inside}/{newer}"
                elif controller and controller in controllers.split(","):
                    yield f"{self.groups}/{controllers}/{inside}/{older}"


class VitalsWatch:
    """Tells a record for each interval, without a gap: short ones while something is noteworthy."""

    def __init__(
        self,
        book: RecordBook,
        registry: Registry,
        watchdog: Watchdog,
        collections: Collections,
        *,
        kernel: Kernel | None = None,
    ) -> None:
        self._book = book
        self._registry = registry
        self._watchdog = watchdog
        self._kernel = kernel or Kernel()
        self._collections = collections
        self.latest = self._read(0.0)
        self._record = self._begin(self.latest)
        self._begun = self.latest
        self._interval_s = _QUIET_S
        self._limits = self._told_limits()

    def look(self) -> None:
        """Read everything once; tell the interval if it is long enough by now."""
        before = self.latest
        late_s = self._book.clock.monotonic_s() - before.at_s - LOOK_S
        self.latest = self._read(max(0.0, late_s))
        age_s = 0.0 if self.latest.noteworthy_since(before) else self._latest_hang_s()
        interval_s = pieces_s(age_s, _BUSY_S, _QUIET_S)
        if interval_s < self._interval_s and before is not self._begun:
            # Half a minute without trouble would hide the first seconds with it.
            self._tell_until(before)
        self._interval_s = interval_s
        if self.latest.at_s - self._begun.at_s >= interval_s:
            self.tell()

    def tell(self) -> None:
        """End the interval that goes on, and begin the next."""
        self._tell_until(self.latest)

    def _tell_until(self, ended: Reading) -> None:
        told, begun = self._record, self._begun
        told.attributes = {**ended.since(begun), **self._limits}
        self._book.sender.send(told.final("ended", ended.at_s))
        self._record, self._begun = self._begin(ended), ended

    def _latest_hang_s(self) -> float:
        """Return how long the latest hangs that does, a loop or a request; infinite for none."""
        now_s = self.latest.at_s
        stalls = [watch.stall for watch in list(self._watchdog.loops.values())]
        ages_s = [now_s - stall.record.opened_s for stall in stalls if stall is not None]
        for entry in self._registry.requests():
            age_s = now_s - entry.opened_s
            if age_s > _NOTEWORTHY_AGE_S:
                ages_s.append(age_s)
        return min(ages_s, default=math.inf)

    def _begin(self, read: Reading) -> OpenRecord:
        resource = names.process(os.getpid())
        record = self._book.mint(names.VITALS, resource, Place(None, 0))
        record.start_ns -= int((record.opened_s - read.at_s) * _NS)
        record.opened_s = read.at_s
        return record

    def _read(self, late_s: float) -> Reading:
        return Reading(
            at_s=self._book.clock.monotonic_s(),
            cpu_s=self._book.clock.cpu_s(),
            delay_s=self._kernel.delay_s(late_s),
            throttled_s=self._kernel.throttled_s(),
            gc_s=self._collections.seconds,
            faults=_major_faults(),
            rss_bytes=self._kernel.rss_bytes(),
        )

    def _told_limits(self) -> dict[str, float | int]:
        limits: dict[str, float | int] = {names.MEMORY_LIMIT: self._kernel.memory_limit_bytes()}
        cores = self._kernel.cpu_limit()
        return limits if cores is None else {**limits, names.CPU_LIMIT: cores}


def _major_faults() -> int:
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt
