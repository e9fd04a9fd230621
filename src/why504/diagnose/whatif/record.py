"""The record: everything that happened in a stretch of time, as jobs for the simulator."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from why504 import names
from why504.diagnose.activity import Activity, Process, Segment, flat, process_of
from why504.diagnose.blame import Blamer, resource_key
from why504.diagnose.leaves import stall_leaf
from why504.diagnose.whatif.completed import Completed, Told, usual_work_ns
from why504.diagnose.whatif.program import LATCHES, Mark, Program, key_of, marks_of
from why504.diagnose.whatif.simulate import Answer, Block, Job, Work
from why504.model import Stall


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
    usual_ns = usual_work_ns(blamer, since_ns) or usual_work_ns(blamer, until_ns)
    return _Recorder(blamer, since_ns, until_ns).record(usual_ns) if usual_ns else None


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

    def record(self, usual_ns: Mapping[str, float]) -> Record:
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
        told = [self._told(root, marks[number]) for number, root in enumerate(self._roots)]
        requests = Completed(told, usual_ns).jobs()
        numbers = {
            (root.root.trace_id, root.root.span_id): number
            for number, root in enumerate(self._roots)
        }
        return Record(numbers, [*requests, *others, *self._blockers()], self._capacity())

    def _told(self, root: Activity, marks: list[Mark]) -> Told:
        """Return what is known of one request."""
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
        program = Program(timeline, sorted(marks, key=itemgetter(0, 1)), served, self._blamer)
        steps = tuple(program.steps())
        self._blocked |= {step.call for step in steps if isinstance(step, Block)}
        stalls = [segment.source for segment, _ in timeline if isinstance(segment.source, Stall)]
        loops = dict(self._loops.get(process_of(served.root), {})) if served else {}
        loops.update(dict.fromkeys(resource_key(stall) for stall in stalls))
        names_of = self._blamer.activities.routes
        route = served.route if served else names_of.get(root.root.name, root.root.name)
        return Told(Job(root.root.start_ns, steps, tuple(loops)), route, end_ns is not None)

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
