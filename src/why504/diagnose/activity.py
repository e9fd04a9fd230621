"""An activity: what one request did inside one process, moment by moment.

Definitions: docs/how-blame-works.md.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from heapq import merge
from operator import itemgetter
from typing import NamedTuple, TypeVar

from why504 import names
from why504.diagnose.steps import Timeline, gaps_between
from why504.model import Record, Span, Stall, Vitals, Wait

Process = tuple[str, str]
"""Service and instance."""
Witness = TypeVar("Witness", Wait, Stall, Vitals)
_START = itemgetter(0)


class Segment(NamedTuple):
    """One stretch of an activity's timeline.

    `kind` is run (own code), ext (a peer that we can't see into), wait (for a resource),
    call (another activity), stall (the loop turned for nobody), starved (the process could not
    run), backoff (a pause between two attempts; the source is the earlier one) or gap (sent,
    nothing told of it).
    """

    start_ns: int
    end_ns: int
    kind: str
    source: Span | Wait | Stall | Vitals
    callee: Activity | None = None

    def clip(self, start_ns: int, end_ns: int) -> Segment:
        """Return the part inside `[start_ns, end_ns)`."""
        if start_ns <= self.start_ns and self.end_ns <= end_ns:
            return self
        start_ns, end_ns = max(start_ns, self.start_ns), min(end_ns, self.end_ns)
        return Segment(start_ns, end_ns, self.kind, self.source, self.callee)


class Activity:
    """Sequential work of one process for one request (or job)."""

    def __init__(
        self, root: Span, end_ns: int, cut: Callable[[Activity], list[Segment]] | None = None
    ) -> None:
        """Take how to cut it into segments; most activities are never asked for theirs."""
        self.root = root
        self.end_ns = end_ns
        self.callees: list[Activity] = []
        """What other processes did for it, whenever they did it."""
        self.stalls: Sequence[Timeline[Stall]] = ()
        """When the loop that it ran on, or was sent to, did not turn."""
        self.in_threads: Sequence[tuple[int, int]] = ()
        """When a worker thread ran its code, `[start_ns, end_ns)`: the loop's stalls pass it by."""
        self.starved: Sequence[Timeline[Vitals]] = ()
        """When the process that it was sent to could not run."""
        self._cut = cut

    @cached_property
    def segments(self) -> list[Segment]:
        """What it told itself, in order and disjoint.

        Together exactly `[root.start_ns, end_ns)`, then what it does for itself once it answered.
        """
        return self._cut(self) if self._cut else []

    def between(self, start_ns: int, end_ns: int) -> Iterator[Segment]:
        """Yield what overlaps `[start_ns, end_ns)`, clipped, in order, with stalls laid over it."""
        segments = self.segments
        first = max(0, bisect_right(segments, start_ns, key=_START) - 1)
        for index in range(first, len(segments)):
            segment = segments[index]
            if segment.start_ns >= end_ns:
                return
            if segment.end_ns > start_ns:
                clipped = segment.clip(start_ns, end_ns)
                stood = self._stood(clipped) if self.stalls else [clipped]
                yield from laid(stood, self.starved, _is_silence) if self.starved else stood

    def _stood(self, segment: Segment) -> list[Segment]:
        """Lay stalls over a segment, but for the parts of own code that ran in a thread."""
        if segment.kind != "run" or not self.in_threads:
            return laid([segment], self.stalls, _blocks)
        rows = ((max(a, segment.start_ns), min(b, segment.end_ns)) for a, b in self.in_threads)
        inside = [(a, b) for a, b in rows if a < b]
        outside = list(gaps_between(inside, segment.start_ns, segment.end_ns))
        parts = laid([segment.clip(*part) for part in outside], self.stalls, _blocks)
        own = gaps_between(outside, segment.start_ns, segment.end_ns)
        return sorted([*parts, *(segment.clip(*part) for part in own)], key=_START)

    @property
    def idle_ns(self) -> int:
        """Return when the last thing that is known of it was over."""
        return max(self.end_ns, self.segments[-1].end_ns) if self.segments else self.end_ns

    @property
    def route(self) -> str:
        """Return the route for people: `POST /v1/conversations/end`."""
        return route_of(self.root)


def flat(activity: Activity, start_ns: int, end_ns: int) -> list[tuple[Segment, Activity]]:
    """Return the segments of a window, in order, with calls replaced by what the callee did."""
    found: list[tuple[Segment, Activity]] = []
    todo = [(activity, start_ns, end_ns)]
    while todo:
        owner, a_ns, b_ns = todo.pop()
        for segment in owner.between(a_ns, b_ns):
            if segment.kind == "call" and segment.callee is not None:
                todo.append((segment.callee, segment.start_ns, segment.end_ns))
            else:
                found.append((segment, owner))
    return found if len(found) == 1 else sorted(found, key=lambda pair: pair[0].start_ns)


_WEBSOCKET_SCHEMES = frozenset({"ws", "wss"})


def route_of(span: Span) -> str:
    """Return `METHOD /route` of a server span, else its name (a gateway knows no routes).

    Of one that is open and has no route yet, such as in a middleware, its path.
    """
    told = span.attributes
    route = told.get(names.HTTP_ROUTE)
    if not route and span.end_ns is None and span.kind == "server":
        route = told.get(names.URL_PATH)
    method = told.get(names.HTTP_METHOD) or told.get("http.method")
    if told.get(names.URL_SCHEME) in _WEBSOCKET_SCHEMES:
        method = names.WEBSOCKET
    return f"{method} {route}" if route and method else span.name


def process_of(item: Span | Record) -> Process:
    """Return the process that told of something."""
    return item.service, item.instance


def _blocks(stall: Stall, segment: Segment) -> bool:
    """A worker thread goes on while the loop stands; a call is judged in its own timeline."""
    if segment.kind == "call":
        return False
    thread = segment.source.attributes.get(names.THREAD_ID)
    loop_thread = stall.attributes.get(names.THREAD_ID)
    return thread is None or loop_thread is None or thread == loop_thread


def _is_silence(_vitals: Vitals, segment: Segment) -> bool:
    """What could not run took up no request; whatever it did tell is told better by that."""
    return segment.kind == "gap"


_KINDS = {Wait: "wait", Stall: "stall", Vitals: "starved"}
"""Witness -> kind of the segments that it covers."""


def laid(
    segments: Iterable[Segment],
    timelines: Sequence[Timeline[Witness]],
    covers: Callable[[Witness, Segment], bool],
) -> list[Segment]:
    """Return a timeline with witnesses laid over what they cover; of two the earlier counts."""
    result: list[Segment] = []
    for segment in segments:
        at_ns, end_ns = segment.start_ns, segment.end_ns
        found = (timeline.overlapping(at_ns, end_ns) for timeline in timelines)
        for row in merge(*found, key=itemgetter(0)):
            start_ns, stop_ns, witness = max(row[0], at_ns), min(row[1], end_ns), row[2]
            if start_ns >= stop_ns or not covers(witness, segment):
                continue
            if at_ns < start_ns:
                result.append(segment.clip(at_ns, start_ns))
            result.append(Segment(start_ns, stop_ns, _KINDS[type(witness)], witness))
            at_ns = stop_ns
        if at_ns < end_ns:
            result.append(segment.clip(at_ns, end_ns))
    return result
