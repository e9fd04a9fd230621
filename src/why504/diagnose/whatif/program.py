"""The program of one request: its work in order, and between it what it takes and gives back.

Its waiting is left out, since the simulator makes it anew. What was never seen to end never ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from why504.diagnose.activity import Activity, Segment
from why504.diagnose.blame import Blamer, Owner, resource_key
from why504.diagnose.leaves import after_leaf, leaf_of
from why504.diagnose.whatif.simulate import (
    Answer,
    Await,
    Block,
    Give,
    Key,
    Step,
    Stop,
    Take,
    Untold,
    Work,
)
from why504.model import Hold, Leaf, Stall, Wait

LATCHES = ("db.lock:", "broker:", "llm:")
"""Resources that others wait for to be over, and do not have themselves afterwards."""
_LINES = ("run", "stall", "leak")
"""Kinds of leaves of which the line is a part of the name."""
_CLOCKS_NS = 50_000_000
"""A hold is told to begin at most so long after the wait for it is told to end."""


def key_of(leaf: Leaf) -> Key:
    """Return the name of a leaf: a peer is one wherever it is called from."""
    return leaf.kind, leaf.what, str(leaf.site or "") if leaf.kind in _LINES else ""


class Mark(NamedTuple):
    """Something that a request does between two pieces of work."""

    time_ns: float
    order: int
    """Among those of the same moment: what is given back comes first."""
    step: Step
    kept: Key = ("", "", "")
    """What to call the time for which it is kept after the request is over."""


def marks_of(hold: Hold, owner: Owner, blamer: Blamer) -> list[Mark]:
    """Return when something is taken and given back, never if that was not seen."""
    resource = resource_key(hold)
    activity = owner.activity
    if hold.end_ns is None and owner.end_ns >= blamer.end_of(hold):
        given_ns = math.inf
    else:
        given_ns = owner.end_ns
    over_ns = activity.idle_ns if activity else owner.start_ns
    leaf = after_leaf(hold, owner.taken, activity, max(owner.start_ns, over_ns))[0]
    return [
        Mark(owner.start_ns, 1, Take(resource)),
        Mark(given_ns, 0, Give(resource), key_of(leaf)),
    ]


@dataclass(frozen=True, slots=True)
class Program:
    """Writes the steps of one request."""

    timeline: Sequence[tuple[Segment, Activity]]
    marks: Sequence[Mark]
    """In order."""
    served: Activity | None
    """What the application did of it, as far as it is known."""
    blamer: Blamer

    def steps(self) -> Iterator[Step]:
        """Yield the steps, up to where nobody told of any more."""
        place, at_ns = 0, 0.0
        seen: set[str] = set()
        for segment, owner in self.timeline:
            at_ns = segment.start_ns
            while place < len(self.marks) and self.marks[place].time_ns < segment.end_ns:
                mark = self.marks[place]
                yield from self._work(segment, owner, at_ns, mark.time_ns)
                at_ns = max(at_ns, mark.time_ns)
                yield mark.step
                place += 1
            yield from self._work(segment, owner, at_ns, segment.end_ns)
            source = segment.source
            # What was laid over a wait cuts it into pieces; it is one all the same.
            if isinstance(source, Wait) and segment.kind == "wait" and source.span_id not in seen:
                seen.add(source.span_id)
                yield from self._in_vain(source)
            at_ns = segment.end_ns
        for mark in self.marks[place:]:
            if mark.time_ns > at_ns:
                yield Work(mark.time_ns - at_ns, mark.kept, f"kept {place}")
                at_ns = mark.time_ns
            yield mark.step
        if self.served is None:
            yield Untold("")

    def _work(
        self, segment: Segment, owner: Activity, start_ns: float, end_ns: float
    ) -> Iterator[Step]:
        """Yield a part of a segment as work; nothing where it only waits for others."""
        source = segment.source
        if start_ns >= end_ns or segment.kind == "wait":
            return
        if isinstance(source, Stall) and not self._is_own(source):
            return
        length_ns = float(end_ns - start_ns)
        if (
            source.end_ns is None
            and end_ns == segment.end_ns
            and end_ns >= self.blamer.end_of(source)
        ):
            length_ns = math.inf
        key = key_of(leaf_of(segment, owner)[0])
        if isinstance(source, Stall):
            yield Block(length_ns, key, source.span_id, resource_key(source))
        else:
            yield Work(length_ns, key, source.span_id)

    def _is_own(self, stall: Stall) -> bool:
        return self.served is not None and self.blamer.activities.behind(stall) is self.served

    def _in_vain(self, wait: Wait) -> Iterator[Step]:
        """Yield a wait after which the request is not known to have had what it waited for."""
        resource, end_ns = resource_key(wait), self.blamer.end_of(wait)
        if wait.resource.startswith(LATCHES):
            yield Await(resource)
        elif any(
            isinstance(mark.step, Take)
            and mark.step.resource == resource
            and wait.start_ns <= mark.time_ns <= end_ns + _CLOCKS_NS
            for mark in self.marks
        ):
            return
        elif wait.end_ns is None:
            yield from (Take(resource), Untold(resource))
        elif wait.outcome == "acquired":
            yield from (Take(resource), Give(resource))
        else:
            patience_ns = float(end_ns - wait.start_ns)
            yield from (Take(resource, patience_ns), Untold(resource), Answer(), Stop())
