"""Facts: what surrounds a leaf, gathered from the evidence, so that a row can judge it.

A row of causes.py looks at a `Case` only; everything in it is counted here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from statistics import median

from why504 import names
from why504.diagnose.activity import route_of
from why504.diagnose.blame import Blamer, plain
from why504.diagnose.causes import Case
from why504.diagnose.chain import held_by
from why504.diagnose.itself import OwnPlaces
from why504.diagnose.leaves import Resting
from why504.diagnose.peers import RETRYING, TOO_MANY_REQUESTS, call_name, inside, status_of
from why504.diagnose.starvation import (
    busy_share,
    gc_share,
    share_of_time,
    starved_share,
    thrashing,
)
from why504.diagnose.steps import covered_s
from why504.model import Hold, Stall, Victim, Vitals, how_many

_CARRIES_SHARE = 0.2
"""A resource that carried this share of a cause's blame is its mechanism."""
_BRIEF_SHARE = 0.25
"""A hold shorter than this share of the victims' wait is brief ..."""
_BRIEF_S = 1.0
"""... unless it is longer than this: gateways that wait for a minute make no call short."""
_LONG_SHARE = 0.5
"""A call that takes this share of the victims' wait is slow by itself."""
_BLOCKED_SHARE = 0.05
"""A thread that wanted a core for less of the time was blocked, whatever the process lacked."""
_LATE_NS = 1_000_000_000
"""What is open is told of a little before the end of what is known."""
_FEWEST = 3
"""So many earlier requests have to be known before anything is called slower than usual."""


class Facts:
    """Answers about one incident."""

    def __init__(
        self, victims: Sequence[Victim], blamer: Blamer, leaves: Sequence[Resting] = ()
    ) -> None:
        """Take the victims and all leaves on which their blame came to rest, if known."""
        self.victims = victims
        self._leaves = leaves
        self.blamer = blamer
        self._wait_s = median([(v.gave_up_ns - v.start_ns) / 1e9 for v in victims])
        self._begun_ns = min(v.start_ns for v in victims)
        self._ended_ns = max(v.gave_up_ns for v in victims)
        watched = blamer.backends.watched(self._begun_ns, self._ended_ns)
        self._locks_in_doubt = blamer.backends.doubtful or not watched
        self._crowded = cache(self._is_crowded)
        self.answered_share = self._answered_share()
        self._before_s = self._lengths_before()
        self.own_places = OwnPlaces(blamer.evidence)
        self._refused = {
            span.trace_id
            for span in blamer.evidence.spans
            if span.kind == "client" and status_of(span.attributes) == TOO_MANY_REQUESTS
        }

    def case(self, resting: Resting) -> Case:
        """Return a leaf with everything that a row of the taxonomy may look at."""
        resource = last_resource([resting])
        vitals = self._vitals([resting])
        return Case(
            resting=resting,
            last_resource=resource,
            crowded=self._crowded(resource),
            long=mostly(self._lengths([resting]), self._wait_s * _LONG_SHARE),
            locks_in_doubt=self._locks_in_doubt,
            cpu_share=self.cpu_share(self._alike(resting)),
            gil_kept=gil_kept([resting]),
            keeps_threads=self._keeps_threads(resting),
            blocked=self._is_blocked(resting),
            busy_share=busy_share(vitals),
            calls_per_request=len(resting.sources) / max(1, len(resting.by_trace)),
            refused=self._was_refused(resting),
            to_itself=self.own_places.are_calls_to_itself([resting]),
            slower=self._slower(resting),
            answered_share=self.answered_share,
            bounded=any(names.CLIENT_TIMEOUT_S in s.attributes for s in resting.sources.values()),
            gc_share=max(gc_share(vitals), self._collecting_share([resting])),
            starved_share=starved_share(vitals),
            thrashing=thrashing(vitals),
        )

    def _alike(self, resting: Resting) -> list[Resting]:
        """Return a leaf with those of the same function: who computes is seen at many lines."""
        if resting.leaf.kind != "run":
            return [resting]
        same = (resting.leaf.kind, resting.leaf.what)
        known = self._leaves or [resting]
        return [other for other in known if (other.leaf.kind, other.leaf.what) == same]

    def lengths_s(self, leaves: Sequence[Resting]) -> list[float]:
        """Return how long each span, stall or hold in which the leaves can be seen lasted."""
        return [length_s for length_s, _ in self._lengths(leaves)]

    def _lengths(self, leaves: Sequence[Resting]) -> list[tuple[float, float]]:
        """Return the same with how many alike each stands for."""
        sources = [source for leaf in leaves for source in leaf.sources.values()]
        return [
            ((self.blamer.end_of(s) - s.start_ns) / 1e9, self.blamer.stands_for(s)) for s in sources
        ]

    def cpu_share(self, leaves: Sequence[Resting]) -> float | None:
        """Return the cores in use while leaves went on: by stalls, else by their threads.

        None where nobody told.
        """
        stalled = share_of_time(names.STALL_CPU_S, _stalls(leaves))
        return self._share_of_threads(leaves) if stalled is None else stalled

    def _share_of_threads(self, leaves: Sequence[Resting]) -> float | None:
        """Return the cores that the threads of all requests at these leaves used together.

        Of many that compute each has little: one thread of Python runs at a time.
        """
        rows = [row for leaf in leaves for row in self._told_of_threads(leaf)]
        length_s = covered_s([(start_ns, end_ns) for start_ns, end_ns, _, _ in rows])
        burned_s = math.fsum(ran * (end_ns - start_ns) / 1e9 for start_ns, end_ns, ran, _ in rows)
        return burned_s / length_s if length_s > 0 else None

    def _is_blocked(self, resting: Resting) -> bool:
        """Return whether the threads of its requests wanted no core: they waited in a call."""
        wanted = [share for _, _, _, share in self._told_of_threads(resting)]
        return bool(wanted) and median(wanted) < _BLOCKED_SHARE

    def stands_still(self, leaves: Sequence[Resting]) -> bool:
        """Return whether stalls at some leaves go on until the end, where most time was lost.

        Such a loop holds up everybody who came since, and of those it took up none is seen: the
        blame of the others says nothing of its weight, once one victim lost most of its time to it.
        """
        suffered = {(v.leaf.kind, v.leaf.site) for v in self.victims}
        return any(
            self._goes_on(stall)
            for leaf in leaves
            if (leaf.leaf.kind, leaf.leaf.site) in suffered
            for stall in _stalls([leaf])
        )

    def _goes_on(self, stall: Stall) -> bool:
        """Return whether a stall was open as all was told last, in the process of the victims."""
        there_s = math.fsum(
            leaf.seconds
            for leaf in self._leaves
            if any(source.instance == stall.instance for source in leaf.sources.values())
        )
        all_s = math.fsum(leaf.seconds for leaf in self._leaves)
        open_last = stall.end_ns is None and self.blamer.end_of(stall) >= self._ended_ns - _LATE_NS
        # Many short ones told as one are a slow loop, which turns.
        turns = names.STALL_SHARE in stall.attributes
        return open_last and not turns and there_s * 2 > all_s

    def _keeps_threads(self, resting: Resting) -> bool:
        """Return whether most waiting for threads rests on a leaf's function, and is long."""
        waited_s = seconds_through(names.THREADPOOL, self._leaves)
        mine_s = seconds_through(names.THREADPOOL, self._alike(resting))
        return mine_s * 2 >= waited_s and mine_s >= self._wait_s * _LONG_SHARE

    def _told_of_threads(self, leaf: Resting) -> list[tuple[int, int, float, float]]:
        """Return (start, end, share that it ran, share that it wanted to) of requests in threads.

        Shares are of a core; start and end in Unix nanoseconds.
        """
        rows = []
        for source in leaf.sources.values() if leaf.leaf.kind == "run" else ():
            ran = source.attributes.get(names.THREAD_CPU_SHARE)
            wanted = source.attributes.get(names.THREAD_WANTED_SHARE, ran)
            if isinstance(ran, int | float) and isinstance(wanted, int | float):
                # One that was read of many alike ran for those too.
                ran *= self.blamer.stands_for(source)
                rows.append((source.start_ns, self.blamer.end_of(source), ran, wanted))
        return rows

    def _collecting_share(self, leaves: Sequence[Resting]) -> float:
        """Return the share of stalls in which garbage was collected.

        Of their time, not of the CPU used: what hardly computes collects for much of that.
        """
        return share_of_time(names.GC_CPU_S, _stalls(leaves)) or 0.0

    def starvation(self, leaves: Sequence[Resting]) -> tuple[float, float]:
        """Return which shares of its time a process lacked a core and collected garbage."""
        vitals = self._vitals(leaves)
        return starved_share(vitals), max(gc_share(vitals), self._collecting_share(leaves))

    def _is_crowded(self, resource: str) -> bool:
        """Return whether most of the time in which a resource was held was held briefly."""
        holds: list[Hold] = held_by(resource, self.victims, self.blamer)
        lengths_s = [
            ((self.blamer.end_of(hold) - hold.start_ns) / 1e9, self.blamer.stands_for(hold))
            for hold in holds
        ]
        return bool(holds) and not mostly(lengths_s, min(self._wait_s * _BRIEF_SHARE, _BRIEF_S))

    def _vitals(self, leaves: Sequence[Resting]) -> list[Vitals]:
        """Return what the processes of some leaves told of themselves during the incident."""
        sources = [source for leaf in leaves for source in leaf.sources.values()]
        places = {source.instance for source in sources}
        # The last word of a process that fell silent may be older than all its victims.
        blamed = {source.span_id for source in sources if isinstance(source, Vitals)}
        return [
            vitals
            for vitals in self.blamer.evidence.vitals
            if vitals.instance in places
            and vitals.start_ns < self._ended_ns
            and ((vitals.end_ns or 0) > self._begun_ns or vitals.span_id in blamed)
        ]

    def _was_refused(self, resting: Resting) -> bool:
        """Return whether most of its time is attempts that were refused, or pauses after them."""
        sources = resting.sources.values()
        if resting.leaf.kind == "stall":
            asleep = [s for s in _stalls([resting]) if RETRYING.search(inside(s.stack, s.site))]
            refused = [s for s in asleep if s.trace_id in self._refused]
            return len(refused) * 2 >= len(resting.sources) > 0
        if resting.leaf.kind == "backoff":
            return str(TOO_MANY_REQUESTS) in resting.leaf.what
        refusals = [s for s in sources if status_of(s.attributes) == TOO_MANY_REQUESTS]
        return len(refusals) * 2 >= len(sources) > 0

    def _slower(self, resting: Resting) -> float | None:
        """Return how many times longer it took than before the incident, None if unknown."""
        if resting.leaf.kind == "ext":
            before_s = self.usual_call_s(resting.leaf.what)
            now_s = self.lengths_s([resting])
        else:
            routes = {victim.route for victim in self.victims}
            before_s = _usual_s(
                [length_s for route in routes for length_s in self._before_s["server", route]]
            )
            now_s = [(v.gave_up_ns - v.start_ns) / 1e9 for v in self.victims]
        return median(now_s) / before_s if before_s and now_s else None

    def usual_call_s(self, what: str) -> float | None:
        """Return how long calls of this name took before the incident, None if unknown."""
        return _usual_s(self._before_s["client", what])

    def _lengths_before(self) -> dict[tuple[str, str], list[float]]:
        """Return how long calls and requests took before, by kind and by name or route."""
        lengths_s: dict[tuple[str, str], list[float]] = defaultdict(list)
        for span in self.blamer.evidence.spans:
            if span.end_ns is None or span.end_ns > self._begun_ns or span.status == "error":
                continue
            length_s = (span.end_ns - span.start_ns) / 1e9
            if span.kind == "client":
                lengths_s["client", call_name(span)].append(length_s)
            elif span.kind == "server" and span.service != names.GATEWAY_SERVICE:
                lengths_s["server", route_of(span)].append(length_s)
        return lengths_s

    def _answered_share(self) -> float:
        """Return the share of victims whose application answered well, only too late.

        Of those that it had no time to answer before it died, or before its word was lost on the
        way, nobody knows.
        """
        well: dict[str, int] = defaultdict(int)
        lengths_s: dict[str, float] = {}
        cut_off_s: dict[str, float] = {}
        for span in self.blamer.evidence.spans:
            if span.kind != "server" or span.service == names.GATEWAY_SERVICE:
                continue
            status = status_of(span.attributes)
            length_s = (span.last_seen_ns - span.start_ns) / 1e9
            if span.end_ns is None:
                cut_off_s[span.trace_id] = length_s
            elif span.status != "error" and (status is None or status < 500):
                well[span.trace_id] = max(well[span.trace_id], span.end_ns)
                lengths_s[span.trace_id] = length_s
        late = [v for v in self.victims if well.get(v.trace_id, 0) > v.gave_up_ns]
        if not late:
            return 0.0
        usual_s = median([lengths_s[victim.trace_id] for victim in late])
        undecided = [v for v in self.victims if cut_off_s.get(v.trace_id, usual_s) < usual_s]
        return how_many(late) / max(1, how_many(self.victims) - how_many(undecided))


def last_resource(leaves: Sequence[Resting]) -> str:
    """Return the resource that carried most of the blame; empty when hardly any was carried.

    Of replicas each has its own of a kind, which carries its share: together they count.
    """
    carried: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for leaf in leaves:
        for resource, seconds in leaf.by_resource.items():
            carried[_in_each_replica(resource)][resource] += seconds
    total_s = math.fsum(seconds for alike in carried.values() for seconds in alike.values())
    carried.pop("", None)
    best = max(carried.values(), key=lambda alike: math.fsum(alike.values()), default={"": 0.0})
    enough = math.fsum(best.values()) >= total_s * _CARRIES_SHARE
    return max(best, key=lambda resource: best[resource]) if enough else ""


def seconds_through(kind: str, leaves: Sequence[Resting]) -> float:
    """Return the blame that came to leaves through resources whose names begin with `kind`."""
    return math.fsum(
        seconds
        for leaf in leaves
        for resource, seconds in leaf.by_resource.items()
        if resource.startswith(kind)
    )


def queue_of(kind: str, leaves: Sequence[Resting]) -> str:
    """Return the resource of a kind through which most blame came to leaves; empty for none."""
    carried: dict[str, float] = defaultdict(float)
    for leaf in leaves:
        for resource, seconds in leaf.by_resource.items():
            if kind and resource.startswith(kind):
                carried[resource] += seconds
    return max(carried, key=lambda resource: carried[resource], default="")


def _in_each_replica(resource: str) -> str:
    """Return what a resource is called in every replica; an event loop has the process's id."""
    name = plain(resource)
    return "loop" if name.startswith("loop:") else name


def _usual_s(lengths_s: Sequence[float]) -> float | None:
    return median(lengths_s) or None if len(lengths_s) >= _FEWEST else None


def mostly(lengths: Sequence[tuple[float, float]], limit_s: float) -> bool:
    """Return whether half of all the time, or more, is in lengths of at least `limit_s`.

    `lengths` are seconds, and how many there are alike.
    """
    long_s = math.fsum(length_s * many for length_s, many in lengths if length_s >= limit_s)
    return long_s * 2 >= math.fsum(length_s * many for length_s, many in lengths)


def gil_kept(leaves: Sequence[Resting]) -> bool:
    """Return whether stalls at some leaves kept the GIL for most of their time."""
    stalls = _stalls(leaves)
    kept = [stall for stall in stalls if stall.attributes.get(names.STALL_GIL_KEPT) is True]
    return _sum_s(kept) * 2 >= _sum_s(stalls) > 0


def _sum_s(stalls: Sequence[Stall]) -> float:
    return math.fsum(((s.end_ns or s.last_seen_ns) - s.start_ns) / 1e9 for s in stalls)


def _stalls(leaves: Sequence[Resting]) -> list[Stall]:
    return [s for leaf in leaves for s in leaf.sources.values() if isinstance(s, Stall)]
