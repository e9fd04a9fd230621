"""What nobody told, filled in: how requests went on that never got so far.

A request that waited in vain would have done what another one of its route did that got through
meanwhile, for better or worse: had it had a connection, it too would have waited for the LLM.
Where none got through, it would have worked as long as its route did before.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from why504 import names
from why504.diagnose.activity import flat
from why504.diagnose.blame import Blamer
from why504.diagnose.whatif.simulate import Answer, Await, Block, Job, Step, Take, Untold, Work

_WAITING = ("wait", "stall", "starved")
"""Kinds of segments in which a request does nothing itself."""
_REST = ("rest", "", "")


@dataclass(frozen=True, slots=True)
class Told:
    """One request as far as it is known."""

    job: Job
    route: str
    answered: bool
    """Whether the application is known to have answered it."""

    @property
    def got_through(self) -> bool:
        """Whether it was answered, or came to what never ended: nothing cut it off before."""
        return self.answered or any(
            isinstance(step, Await)
            or (isinstance(step, Work | Block) and step.length_ns == math.inf)
            for step in self.job.steps
        )


class Completed:
    """Fills in the rest of some requests."""

    def __init__(self, told: Sequence[Told], usual_ns: Mapping[str, float]) -> None:
        """Take the requests of an incident, and how long routes worked before it (see below)."""
        self._told = told
        self._usual_ns = usual_ns
        through: dict[str, list[list[Step]]] = defaultdict(list)
        for one in told:
            if one.got_through:
                through[one.route].append(self._finished(one))
        self._typical = {route: _median(programs) for route, programs in through.items()}

    def jobs(self) -> list[Job]:
        """Return their jobs, in order, with nothing untold."""
        return [replace(one.job, steps=self._steps(one)) for one in self._told]

    def _steps(self, one: Told) -> list[Step]:
        if one.got_through:
            return self._finished(one)
        typical = self._typical.get(one.route) or [self._rest(one.route)]
        steps: list[Step] = []
        for step in one.job.steps:
            if isinstance(step, Untold):
                steps += _from(typical, step.resource)
            else:
                steps.append(step)
        if not any(isinstance(step, Untold) for step in one.job.steps):
            steps += _behind(typical, worked_ns(steps))
        return [*steps, Answer()]

    def _finished(self, one: Told) -> list[Step]:
        """Return the steps of a request that got through, up to its answer."""
        return [*one.job.steps, *(() if one.answered else (self._rest(one.route), Answer()))]

    def _rest(self, route: str) -> Work:
        """Return what follows where nobody told: the usual work of the route."""
        return Work(self._usual_ns.get(route) or self._usual_ns[""], _REST, "")


def worked_ns(steps: Sequence[Step]) -> float:
    """Return how long some steps last, without what they wait."""
    return math.fsum(step.length_ns for step in steps if isinstance(step, Work | Block))


def usual_work_ns(blamer: Blamer, until_ns: int) -> dict[str, float]:
    """Return the median work of the requests answered by then, by route; of all under ""."""
    found: dict[str, list[float]] = defaultdict(list)
    for activity in blamer.activities:
        root = activity.root
        if root.end_ns is None or root.end_ns > until_ns or root.status == "error":
            continue
        if root.kind == "server" and root.service != names.GATEWAY_SERVICE:
            work_ns = math.fsum(
                segment.end_ns - segment.start_ns
                for segment, _ in flat(activity, root.start_ns, root.end_ns)
                if segment.kind not in _WAITING
            )
            found[activity.route].append(work_ns)
            found[""].append(work_ns)
    return {route: median(lengths) for route, lengths in found.items()}


def _from(typical: Sequence[Step], resource: str) -> Sequence[Step]:
    """Return what the typical request did once it had a resource; all if it never took it."""
    taken = (n for n, s in enumerate(typical) if isinstance(s, Take) and s.resource == resource)
    return typical[next(taken, -1) + 1 :]


def _behind(typical: Sequence[Step], done_ns: float) -> Iterator[Step]:
    """Yield what the typical request did after so much work."""
    for step in typical:
        if isinstance(step, Work | Block):
            skipped_ns = min(done_ns, step.length_ns)
            done_ns -= skipped_ns
            if step.length_ns > skipped_ns:
                yield step._replace(length_ns=step.length_ns - skipped_ns)
        elif done_ns <= 0:
            yield step


def _median(programs: Sequence[list[Step]]) -> list[Step]:
    """Return the program in the middle, by its work."""
    return sorted(programs, key=worked_ns)[len(programs) // 2]
