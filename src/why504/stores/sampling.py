"""Sampling: what to read of a window that is too large to be read whole.

Who timed out is known exactly; of them, and of those who held what was waited for, some are chosen
by chance, and each stands for as many as chance passed over (Horvitz and Thompson 1952). A hold is
chosen the likelier, the more waiting went on during it: what matters is read for certain, and how
many held a resource at each moment is counted over all. Pure arithmetic; the queries are parquet's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from why504.diagnose.steps import Presence
from why504.diagnose.victims import NEW_INCIDENT_AFTER_NS
from why504.model import Window

Times = NDArray[np.int64]
Codes = NDArray[np.uint64]
"""Hashes of trace ids or resources: even over all 64 bits, so that they serve as lots too."""
Floats = NDArray[np.float64]

VICTIMS: Final = 800
"""So many of a window's victims are read, about; 3 % is what a share may be off by then."""
_VICTIMS_ALIKE: Final = 100
"""Of each route of each burst so many are read at least."""
HOLDERS: Final = 1_200
"""So many holders of all resources together."""
USUAL: Final = 200
"""So many requests from before each burst, to know what is usual."""
USUAL_FOR_NS: Final = 600 * 10**9
MOST_BURSTS: Final = 32


@dataclass(frozen=True, slots=True)
class Candidates:
    """Requests that may be victims, an element each."""

    trace: Codes
    alike: Codes
    """Hash of what makes two of them alike: route and status."""
    start_ns: Times
    end_ns: Times


@dataclass(frozen=True, slots=True)
class Intervals:
    """Waits or holds, an element each; ends of what is open are those that were known last."""

    trace: Codes
    held: NDArray[np.bool_]
    """Whether it is a hold."""
    resource: Codes
    start_ns: Times
    end_ns: Times
    stands_for: Floats | None = None
    """For how many alike each stands, itself included; None: all are known."""

    def those(self, mine: NDArray[np.bool_]) -> Intervals:
        """Return some of them."""
        rows = np.flatnonzero(mine)
        return Intervals(
            self.trace[rows],
            self.held[rows],
            self.resource[rows],
            self.start_ns[rows],
            self.end_ns[rows],
            None if self.stands_for is None else self.stands_for[rows],
        )


class Lots:
    """Chances of traces to be read for the sake of one burst; drawn by the hash of the trace id."""

    def __init__(self, burst: Window) -> None:
        """Take when the burst's victims were lost."""
        self.burst = burst
        self.since_ns = burst.start_ns
        """Nothing that was drawn began earlier."""
        self.traces: list[Codes] = []
        self.chances: list[Floats] = []
        """The chances of `traces`: all of those that were drawn."""

    def give(self, trace: Codes, chance: Floats, start_ns: Times) -> None:
        """Give each trace a chance of being read, 0.0 to 1.0, and say when what it is for began."""
        drawn = trace.astype(np.float64) / 2.0**64 < chance
        self.traces.append(trace[drawn])
        self.chances.append(np.minimum(chance[drawn], 1.0))
        self.since_ns = int(start_ns[drawn].min(initial=self.since_ns))

    def take(self, trace: Codes, chance: Floats) -> None:
        """Have traces read that were drawn otherwise, and say what chance each of them had."""
        self.traces.append(trace)
        self.chances.append(chance)


class EvenLots(Lots):
    """Lots drawn evenly in order of chance: where few are drawn, less is left to luck."""

    def __init__(self, burst: Window, *, one_at_least: bool) -> None:
        """Take the burst, and whether of all that are given chances together one is drawn."""
        super().__init__(burst)
        self._one_at_least = one_at_least
        self._luck: float | None = None
        """What is left of the last drawing: with it the next goes on, as if it were one."""

    def give(self, trace: Codes, chance: Floats, start_ns: Times) -> None:
        """Give each trace a chance of being read, 0.0 to 1.0; those alike in it are alike."""
        del start_ns
        chance = np.minimum(chance, 1.0)
        total = float(chance.sum())
        if self._one_at_least and 0.0 < total < 1.0:
            chance = chance / total
        order = np.lexsort((trace, -chance))
        # Each takes a stretch as long as its chance; whoever has a whole number in it is drawn.
        luck = self._luck
        if luck is None:
            luck = float(np.bitwise_xor.reduce(trace)) / 2.0**64 if len(trace) else 0.0
        reached = np.floor(np.cumsum(chance[order]) + luck + 1e-9)
        those = order[np.diff(reached, prepend=np.floor(luck)) > 0]
        self._luck = float((chance.sum() + luck) % 1.0)
        self.take(trace[those], chance[those])


def drawn(lots: Sequence[Lots]) -> tuple[Codes, Floats]:
    """Return the traces that are to be read, in order, and for how many each stands.

    Of several reasons to read a trace the best counts.
    """
    traces = [trace for lot in lots for trace in lot.traces]
    chances = [chance for lot in lots for chance in lot.chances]
    if not traces:
        return np.empty(0, np.uint64), np.empty(0)
    trace, place = np.unique(np.concatenate(traces), return_inverse=True)
    chance = np.zeros(len(trace))
    np.maximum.at(chance, place, np.concatenate(chances))
    return trace, 1.0 / chance


def bursts(found: Candidates) -> list[Window]:
    """Return the stretches of time in which victims were, two quiet minutes apart."""
    order = np.argsort(found.end_ns, kind="stable")
    start_ns, end_ns = found.start_ns[order], found.end_ns[order]
    if not len(order):
        return []
    fresh = np.flatnonzero(start_ns[1:] - end_ns[:-1] > NEW_INCIDENT_AFTER_NS) + 1
    edges = [0, *fresh.tolist(), len(order)]
    if len(edges) - 1 > MOST_BURSTS:
        edges = [0, len(order)]
    return [Window(int(start_ns[a:b].min()), int(end_ns[b - 1]) + 1) for a, b in pairwise(edges)]


def victims_by_lot(found: Candidates, lots: Sequence[Lots]) -> Iterator[Codes]:
    """Give every victim its chance; yield those of each kind, of whom the true number is known."""
    most = max(1, VICTIMS // max(1, len(lots)))
    for lot in lots:
        inside = (found.end_ns >= lot.burst.start_ns) & (found.end_ns < lot.burst.end_ns)
        share = most / max(1, int(inside.sum()))
        for kind in set(found.alike[inside].tolist()):
            mine = inside & (found.alike == kind)
            alike = found.trace[mine]
            chance = min(1.0, max(share, _VICTIMS_ALIKE / len(alike)))
            lot.give(alike, np.full(len(alike), chance), found.start_ns[mine])
            yield alike


def holders_by_lot(records: Intervals, most: float, lots: Lots) -> dict[int, Presence]:
    """Give every hold its chance; return how many held each resource when, by its hash.

    Args:
        records: waits and holds of everybody.
        most: how many holds are to be read, about, of all resources together.
        lots: what chances are given to.
    """
    waits, holds = records.those(~records.held), records.those(records.held)
    wanted = set(waits.resource.tolist()) & set(holds.resource.tolist())
    most = most / max(1, len(wanted))
    present: dict[int, Presence] = {}
    for resource in wanted:
        waited = waits.those(waits.resource == resource)
        held = holds.those(holds.resource == resource)
        presence = Presence.of(held.start_ns, held.end_ns)
        owed = owed_by(waited.start_ns, waited.end_ns, held.start_ns, held.end_ns, presence)
        if held.stands_for is not None:
            owed = owed * held.stands_for
        total = float(owed.sum())
        if total > 0:
            chance = owed * (most / total) if len(owed) > most else np.where(owed > 0, 1.0, 0.0)
            lots.give(held.trace, np.asarray(chance), held.start_ns)
        present[resource] = presence
    return present


def owed_by(
    wait_start_ns: Times,
    wait_end_ns: Times,
    hold_start_ns: Times,
    hold_end_ns: Times,
    presence: Presence,
) -> Floats:
    """Return for each hold the seconds of others' waiting that it answers for.

    At each moment the waiting is divided among all who hold. No pairs are formed: O(n log n).
    """
    crowd = Presence.of(wait_start_ns, wait_end_ns)
    if not len(crowd.times_ns):
        return np.zeros(len(hold_start_ns))
    # From the first wait on: seconds since 1970 would leave no digits for nanoseconds.
    edges_s = (crowd.times_ns - crowd.times_ns[0]) / 1e9
    waited_s = np.concatenate(([0.0], np.cumsum(crowd.count[:-1] * np.diff(edges_s))))
    times_s = (presence.times_ns - crowd.times_ns[0]) / 1e9
    lost_s = np.diff(np.interp(times_s, edges_s, waited_s))
    # While nobody holds it nobody begins or ends to hold it: whatever is added then cancels out.
    owed_s = np.concatenate(([0.0], np.cumsum(lost_s / presence.count[:-1].clip(min=1))))
    places = (presence.times_ns.searchsorted(at_ns) for at_ns in (hold_start_ns, hold_end_ns))
    begun_s, done_s = (owed_s.take(place, mode="clip") for place in places)
    return np.asarray(done_s - begun_s)


def calibrated(kinds: Sequence[Codes], chosen: Codes, stands_for: Floats) -> Floats:
    """Return the weights, such that those of the victims of a kind sum to their true number."""
    result = stands_for.copy()
    for alike in kinds:
        place = np.searchsorted(chosen, alike).clip(max=len(chosen) - 1)
        mine = np.zeros(len(chosen), bool)
        mine[place[chosen[place] == alike]] = True
        if mine.any():
            result[mine] = stands_for[mine] * (len(alike) / stands_for[mine].sum())
    return result
