"""The record: everything that happened in a stretch of time, as jobs for the simulator."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from statistics import median

from why504 import names
from why504.diagnose.activity import Activity, Process, Segment, flat, process_of
from why504.diagnose.blame import Blamer, resource_key
from why504.diagnose.leaves import stall_leaf
from why504.diagnose.whatif.program import LATCHES, Mark, Program, key_of, marks_of, rest
from why504.diagnose.whatif.simulate import Answer, Block, Job, Work
from why504.model import Span, Stall

_WAITING = ("wait", "stall", "starved")
"""Kinds of segments in which a request does nothing itself."""


@dataclass(frozen=True, slots=True)
class Record:
    """What happened, as jobs."""

    requests: Mapping[tuple[str, str], int]
    """Trace and span of whoever asked -> number of the job."""
    jobs: Sequence[Job]
    capacity: Mapping[str, int]


def record(blamer: Blamer, since_ns: int, until_ns: int) -> Record | None:
    """Return what was going on at any time in `[since_ns, until_ns)`.

    None where no request is known to have been answered: then nobody knows what those that never
    finished had still to do.
    """
    recorder = _Recorder(blamer, since_ns, until_ns)
    return recorder.record() if recorder.usual_ns else None


class _Recorder:
    def __init__(self, blamer: Blamer, since_ns: int, until_ns: int) -> None:
        self._blamer = blamer
        called = {id(callee) for activity in blamer.activities for callee in activity.callees}
        self._roots = [
            activity
            for activity in blamer.activities
            if id(activity) not in called
            and activity.root.start_ns < until_ns
            and activity.end_ns > since_ns
        ]
        self._number: dict[int, int] = {}
        for number, root in enumerate(self._roots):
            todo = [root]
            while todo:
                activity = todo.pop()
                self._number[id(activity)] = number
                todo += activity.callees
        self._loops: dict[Process, dict[str, None]] = defaultdict(dict)
        for stall in blamer.evidence.stalls:
            self._loops[process_of(stall)][resource_key(stall)] = None
        self._blocked: set[str] = set()
        """Ids of the stalls that a request has as its own."""
        self.usual_ns = _usual_ns(blamer, since_ns) or _usual_ns(blamer, until_ns)

    def record(self) -> Record:
        others: list[Job] = []
        marks: dict[int, list[Mark]] = defaultdict(list)
        for hold in self._blamer.evidence.holds:
            for owner in self._blamer.owners(hold):
                number = self._number.get(id(owner.activity)) if owner.activity else None
                taken, given = marks_of(hold, owner, self._blamer)
                if number is None:
                    work = Work(given.time_ns - owner.start_ns, given.kept, hold.span_id)
                    others.append(Job(owner.start_ns, (taken.step, work, given.step)))
                else:
                    marks[number] += (taken, given)
        requests = [self._request(root, marks[number]) for number, root in enumerate(self._roots)]
        numbers = {
            (root.root.trace_id, root.root.span_id): number
            for number, root in enumerate(self._roots)
        }
        return Record(numbers, [*requests, *others, *self._blockers()], self._capacity())

    def _request(self, root: Activity, marks: list[Mark]) -> Job:
        served: Activity | None = root
        if root.root.service == names.GATEWAY_SERVICE:
            served = max(root.callees, key=lambda callee: callee.root.start_ns, default=None)
        end_ns = served.root.end_ns if served else None
        if end_ns is None:
            # It gives back what it has when it is done.
            marks = [mark for mark in marks if mark.time_ns < math.inf]
        else:
            marks = [*marks, Mark(end_ns, 2, Answer())]
        timeline = _timeline(root, served)
        stalls = [segment.source for segment, _ in timeline if isinstance(segment.source, Stall)]
        usual_ns = self.usual_ns.get((served or root).route) or self.usual_ns[""]
        in_order = sorted(marks, key=itemgetter(0, 1))
        program = Program(timeline, in_order, served, usual_ns, self._blamer)
        steps = list(program.steps())
        self._blocked |= {step.call for step in steps if isinstance(step, Block)}
        if end_ns is None:
            done_ns = math.fsum(s.length_ns for s in steps if isinstance(s, Work))
            left_ns = max(0.0, usual_ns - done_ns) if done_ns < math.inf else usual_ns
            steps += [rest(left_ns), Answer()]
        loops = dict(self._loops.get(process_of(served.root), {})) if served else {}
        loops.update(dict.fromkeys(resource_key(stall) for stall in stalls))
        return Job(root.root.start_ns, steps, tuple(loops))

    def _blockers(self) -> Iterator[Job]:
        """Yield the stalls of loops that no request is known to have caused."""
        for stall in self._blamer.evidence.stalls:
            if stall.span_id not in self._blocked:
                length_ns = math.inf if stall.end_ns is None else stall.end_ns - stall.start_ns
                loop = resource_key(stall)
                step = Block(length_ns, key_of(stall_leaf(stall)[0]), stall.span_id, loop)
                yield Job(stall.start_ns, (step,), (loop,))

    def _capacity(self) -> dict[str, int]:
        """Return how many units everything has that is queued for: as told, else as seen."""
        told: dict[str, int] = {}
        seen: set[str] = set()
        for told_of in (*self._blamer.evidence.waits, *self._blamer.evidence.holds):
            if not told_of.resource.startswith(LATCHES):
                key = resource_key(told_of)
                seen.add(key)
                units = told_of.attributes.get(names.POOL_CAPACITY)
                if isinstance(units, int) and units > 0:
                    told[key] = max(units, told.get(key, 0))
        for key in seen - told.keys():
            counts = self._blamer.holders_of(key).count
            told[key] = max(1, int(counts.max())) if len(counts) else 1
        return told


def _timeline(root: Activity, served: Activity | None) -> list[tuple[Segment, Activity]]:
    """Return what a request did, to the end of all that was done for it."""
    if served is None:
        return flat(root, root.root.start_ns, root.end_ns)
    begun_ns = served.root.start_ns
    before = flat(root, root.root.start_ns, begun_ns) if root is not served else []
    return [*before, *flat(served, begun_ns, max(begun_ns + 1, served.idle_ns))]


def _usual_ns(blamer: Blamer, until_ns: int) -> dict[str, float]:
    """Return the median work of the requests answered by then, by route; of all under ""."""
    found: dict[str, list[float]] = defaultdict(list)
    for activity in blamer.activities:
        if activity.root.end_ns and activity.root.end_ns <= until_ns and _was_served(activity.root):
            work_ns = math.fsum(
                segment.end_ns - segment.start_ns
                for segment, _ in flat(activity, activity.root.start_ns, activity.root.end_ns)
                if segment.kind not in _WAITING
            )
            found[activity.route].append(work_ns)
            found[""].append(work_ns)
    return {route: median(lengths) for route, lengths in found.items()}


def _was_served(span: Span) -> bool:
    told_by_gateway = span.service == names.GATEWAY_SERVICE
    return span.kind == "server" and not told_by_gateway and span.status != "error"
