"""A queueing simulator: jobs that work, queue for things, block their loop, and answer.

It knows nothing of evidence: jobs.py writes the jobs, replay.py asks what becomes of them.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_AT_ONCE = -1
"""Order of what goes on before all others of the same moment."""
Key = tuple[str, str, str]
"""What a change may name: kind, what and line of a leaf."""


class Work(NamedTuple):
    """Time passes, whatever others do."""

    length_ns: float
    """`math.inf` for what was never seen to end."""
    leaf: Key
    call: str
    """The call that it is a part of: a limit is one for all parts of a call."""


class Block(NamedTuple):
    """The same on an event loop, which meanwhile turns for nobody."""

    length_ns: float
    leaf: Key
    call: str
    loop: str


class Take(NamedTuple):
    """Queue for a unit, first come first served."""

    resource: str
    patience_ns: float = math.inf
    """After so long it goes on without, behind the next `Stop`."""


class Give(NamedTuple):
    """Give a unit back."""

    resource: str


class Await(NamedTuple):
    """Wait until nobody has it; take nothing."""

    resource: str


class Answer(NamedTuple):
    """The caller has its answer; only the first one counts."""


class Stop(NamedTuple):
    """The job is over; what it still has is given back."""


class Untold(NamedTuple):
    """What nobody told: how a request went on that never got what it waited for.

    Not a step that can be played: record.py puts steps in its place.
    """

    resource: str
    """What it waited for; empty where it was not even taken up."""


Step = Work | Block | Take | Give | Await | Answer | Stop | Untold


@dataclass(frozen=True, slots=True)
class Job:
    """One request, or whatever else has what requests wait for."""

    start_ns: int
    steps: Sequence[Step]
    loops: Sequence[str] = ()
    """Event loops that must turn for it to go on after a step."""


@dataclass(slots=True)
class _Queued:
    """A job in a queue for something."""

    number: int
    order: int
    over: bool = False
    """Whether it got it, or ran out of patience."""


@dataclass(slots=True)
class _Running:
    """Where a job is."""

    steps: Sequence[Step]
    at: int = 0
    has: Counter[str] = field(default_factory=Counter)


def answered_ns(jobs: Sequence[Job], capacity: Mapping[str, int], until_ns: float) -> list[float]:
    """Return when each job answers, `math.inf` for those that have not by `until_ns`.

    Args:
        jobs: in any order.
        capacity: units of each resource; one that is not named can be taken by any number.
        until_ns: Unix nanoseconds; what comes later is not looked at.
    """
    return _Simulation(jobs, capacity).run(until_ns)


class _Simulation:
    """Runs jobs to their end; of two at the same moment the one that queued first goes first."""

    def __init__(self, jobs: Sequence[Job], capacity: Mapping[str, int]) -> None:
        self._jobs = jobs
        self._running = [_Running(job.steps) for job in jobs]
        self._answered = [math.inf] * len(jobs)
        self._capacity = capacity
        self._taken: Counter[str] = Counter()
        self._queues: dict[str, deque[_Queued]] = defaultdict(deque)
        self._free_ns: dict[str, float] = {}
        """Loop -> until when something blocks it."""
        first = sorted(range(len(jobs)), key=lambda number: jobs[number].start_ns)
        self._events: list[tuple[float, int, int, _Queued | None]] = [
            (jobs[number].start_ns, order, number, None) for order, number in enumerate(first)
        ]
        self._order = len(jobs)

    def run(self, until_ns: float) -> list[float]:
        while self._events:
            now_ns, order, number, given_up = heapq.heappop(self._events)
            if now_ns > until_ns:
                break
            if given_up is not None:
                self._run_out_of_patience(given_up, now_ns)
                continue
            loops = self._jobs[number].loops
            free_ns = max((self._free_ns.get(loop, 0.0) for loop in loops), default=0.0)
            if free_ns > now_ns:
                # Its place in the queue stays the one that it had.
                self._later(free_ns, number, order)
            else:
                self._go_on(number, now_ns)
        return self._answered

    def _go_on(self, number: int, now_ns: float) -> None:
        """Take steps until one of them needs time."""
        job = self._running[number]
        while job.at < len(job.steps):
            step = job.steps[job.at]
            job.at += 1
            if isinstance(step, Stop):
                break
            if not self._is_done(number, step, now_ns):
                return
        job.at = len(job.steps)
        for resource in list(job.has.elements()):
            self._give(number, resource, now_ns)

    def _is_done(self, number: int, step: Step, now_ns: float) -> bool:
        """Take one step; return whether it is over at once."""
        if isinstance(step, Work | Block):
            return self._work(number, step, now_ns)
        if isinstance(step, Take):
            return self._take(number, step, now_ns)
        if isinstance(step, Await):
            return self._await(number, step)
        if isinstance(step, Give):
            self._give(number, step.resource, now_ns)
        elif isinstance(step, Answer):
            self._answered[number] = min(self._answered[number], now_ns)
        return True

    def _work(self, number: int, step: Work | Block, now_ns: float) -> bool:
        if step.length_ns <= 0:
            return True
        if isinstance(step, Block):
            self._free_ns[step.loop] = now_ns + step.length_ns
            # Whoever blocks a loop goes on before it turns for anybody else.
            self._later(now_ns + step.length_ns, number, _AT_ONCE)
        else:
            self._later(now_ns + step.length_ns, number, self._next())
        return False

    def _await(self, number: int, step: Await) -> bool:
        if not self._taken[step.resource]:
            return True
        self._queues[step.resource].append(_Queued(number, self._next()))
        return False

    def _take(self, number: int, step: Take, now_ns: float) -> bool:
        units = self._capacity.get(step.resource)
        if units is None or self._taken[step.resource] < units:
            self._taken[step.resource] += 1
            self._running[number].has[step.resource] += 1
            return True
        queued = _Queued(number, self._next())
        self._queues[step.resource].append(queued)
        if step.patience_ns < math.inf:
            event = (now_ns + step.patience_ns, self._next(), number, queued)
            heapq.heappush(self._events, event)
        return False

    def _give(self, number: int, resource: str, now_ns: float) -> None:
        job = self._running[number]
        if not job.has[resource]:
            return
        job.has[resource] -= 1
        self._taken[resource] -= 1
        queue = self._queues[resource]
        units = self._capacity.get(resource)
        while queue and (units is not None or not self._taken[resource]):
            queued = queue.popleft()
            if queued.over:
                continue
            queued.over = True
            self._later(now_ns, queued.number, queued.order)
            if units is not None:
                self._taken[resource] += 1
                self._running[queued.number].has[resource] += 1
                return

    def _run_out_of_patience(self, queued: _Queued, now_ns: float) -> None:
        if queued.over:
            return
        queued.over = True
        job = self._running[queued.number]
        while not isinstance(job.steps[job.at], Stop):
            job.at += 1
        job.at += 1
        self._later(now_ns, queued.number, queued.order)

    def _later(self, time_ns: float, number: int, order: int) -> None:
        if time_ns < math.inf:
            heapq.heappush(self._events, (time_ns, order, number, None))

    def _next(self) -> int:
        self._order += 1
        return self._order
