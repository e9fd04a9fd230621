"""Changes: one thing that might have been otherwise, and what the record would have been then.

Each kind of place where lost time comes to rest has changes that may help it: `CHANGES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from why504.diagnose.causes import MANY_CALLS
from why504.diagnose.whatif.record import Record
from why504.diagnose.whatif.simulate import Block, Job, Key, Step, Work

_LIMIT_SHARE: Final = 0.25
"""What a call may take of the gateway's limit: 15 s of a minute, as a ladder has it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What would have been otherwise; by default nothing."""

    words: str
    """For people, behind `if`: `LLM groq took at most 15 s`."""
    leaves: frozenset[Key] = frozenset()
    """Where; a call of them is one thing, however many pieces it was cut into."""
    longest_s: float = math.inf
    """Such a call ends after so long, at the latest."""
    most_calls: float = math.inf
    """A request makes so many of them at the most; the others it spares."""
    off_the_loop: bool = False
    """Such a call takes as long as it did, but blocks no event loop."""
    capacity: Mapping[str, int] = field(default_factory=dict)
    """Resource that requests queue for -> its units."""
    patience: float = 1.0
    """Times as long as the gateway waited, so long it would have waited."""

    def made(self, record: Record) -> Record:
        """Return the record as it would have been."""
        jobs = [self._changed(job) for job in record.jobs] if self.leaves else record.jobs
        return replace(record, jobs=jobs, capacity={**record.capacity, **self.capacity})

    def _changed(self, job: Job) -> Job:
        left_ns: dict[str, float] = {}
        steps: list[Step] = []
        spared = False
        for step in job.steps:
            if not isinstance(step, Work | Block) or step.leaf not in self.leaves:
                # What a request makes of an answer is spared with it.
                of_it = spared and isinstance(step, Work) and step.leaf[0] == "run"
                steps += () if of_it else (step,)
                continue
            if step.call not in left_ns:
                spared = len(left_ns) >= self.most_calls
                left_ns[step.call] = 0.0 if spared else self.longest_s * 1e9
            length_ns = min(step.length_ns, left_ns[step.call])
            left_ns[step.call] -= length_ns
            if self.off_the_loop:
                steps.append(Work(length_ns, step.leaf, step.call))
            else:
                steps.append(step._replace(length_ns=length_ns))
        return replace(job, steps=steps)


NOTHING: Final = Change("nothing had been otherwise")


@dataclass(frozen=True, slots=True)
class Place:
    """Where lost time came to rest, and what is known of it."""

    kind: str
    """Of its leaves; `queue` for what requests queue for, `budget` for the gateway's limit."""
    what: str
    limit_s: float
    """How long the gateway waited."""
    leaves: frozenset[Key] = frozenset()
    resource: str = ""
    units: int = 0
    usual_s: float | None = None
    """How long it took before the incident, None if nobody knows."""
    calls: float = 1.0
    """How often a request that does it at all does it."""


def changes_for(place: Place) -> list[Change]:
    """Return what may help at a place, the most likely first; empty where nothing is known to."""
    changes = (make(place) for make in CHANGES.get(place.kind, ()))
    return [change for change in changes if change is not None]


def _bounded(place: Place) -> Change | None:
    if place.calls >= MANY_CALLS:
        return None
    longest_s = place.limit_s * _LIMIT_SHARE
    return Change(f"{place.what} took at most {longest_s:.3g} s", place.leaves, longest_s)


def _once(place: Place) -> Change | None:
    if place.calls < MANY_CALLS:
        return None
    words = f"{place.what} was asked once a request instead of {place.calls:.0f} times"
    return Change(words, place.leaves, most_calls=1)


def _as_before(place: Place) -> Change | None:
    if place.usual_s is None:
        return None
    words = f"{place.what} took {place.usual_s:.2g} s, as it did before"
    return Change(words, place.leaves, place.usual_s)


def _off_the_loop(place: Place) -> Change:
    words = f"{place.what} took as long, but not on the event loop"
    return Change(words, place.leaves, off_the_loop=True)


def _given_back(place: Place) -> Change:
    words = "what requests had taken was given back with their answer"
    return Change(words, place.leaves, longest_s=0.0)


def _twice(place: Place) -> Change:
    units = place.units * 2
    words = f"{place.what} had {units} places instead of {place.units}"
    return Change(words, capacity={place.resource: units})


def _patient(place: Place) -> Change:
    return Change(f"the gateway waited {place.limit_s * 2:.3g} s", patience=2.0)


CHANGES: Final[Mapping[str, Sequence[Callable[[Place], Change | None]]]] = {
    "ext": (_once, _bounded, _as_before),
    "run": (_bounded,),
    "backoff": (_bounded,),
    "session": (_bounded,),
    "stall": (_bounded, _off_the_loop),
    "leak": (_given_back,),
    "queue": (_twice,),
    "budget": (_patient,),
}
"""Kind of place -> what may help there."""
