"""Asking: an incident played again with anything changed that may be changed, any number at once.

What may be changed is a knob: a place where time was lost, with a range. What a setting of it would
have been is a change (changes.py): `KINDS`.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from why504.diagnose.causes import MANY_CALLS
from why504.diagnose.engine import blamer_of
from why504.diagnose.whatif.changes import Change, Place
from why504.diagnose.whatif.places import all_places
from why504.diagnose.whatif.record import Record
from why504.diagnose.whatif.replay import Player
from why504.diagnose.whatif.simulate import Block, Key, Work
from why504.model import Counterfactual, Evidence, Incident

LONGEST: Final = "longest"
CALLS: Final = "calls"
ELSEWHERE: Final = "elsewhere"
PLACES: Final = "places"
PATIENCE: Final = "patience"
_ENDS: Final = frozenset({"ext", "run", "backoff", "session", "stall", "leak"})
"""Kinds of leaves of which it makes sense to say that they take at most so long."""
_NOTCHES: Final = 40
"""A range has about so many steps."""
_MOST_PLACES: Final = 4
"""Times as many as there were."""
_LEAST_RANGE: Final = 20


@dataclass(frozen=True, slots=True)
class Knob:
    """One thing that may be changed."""

    id: str
    """The same whenever the same evidence is read."""
    kind: str
    """longest (seconds that a call takes at most), calls (that a request makes), elsewhere (1: off
    the event loop), places (of what requests queue for) or patience (seconds of the gateway)."""
    what: str
    """For people: `LLM groq`, `db.pool:main`; empty for the gateway."""
    low: float
    high: float
    step: float
    was: float
    """Where nothing is changed."""
    leaves: frozenset[Key] = frozenset()
    resource: str = ""


class Asker:
    """Answers what would have become of the victims of one incident; for any number of threads."""

    def __init__(self, incident: Incident, evidence: Evidence) -> None:
        """Write the record of an incident, and play it unchanged and with what may help.

        Args:
            incident: one that the engine found.
            evidence: of its time, and of some time before it, as a store tells it.

        Raises:
            NotReplayable: nothing can be said of changes, and why.
        """
        blamer = blamer_of(evidence)
        self._player = Player(incident, blamer)
        self.same = self._player.same
        """How many requests fare as they did when it is played unchanged ..."""
        self.requests = self._player.requests
        """... of how many."""
        self.tried = sorted(
            (self._player.with_one(change) for change in self._player.changes),
            key=lambda tried: tried.left,
        )
        """What is worth trying, most helpful first."""
        self.knobs = [
            knob
            for place in all_places(incident, blamer, self._player.record)
            for knob in knobs_at(place, self._player.record)
        ]

    def what_if(self, settings: Mapping[str, float]) -> Counterfactual:
        """Return what would have become of the victims.

        Args:
            settings: knob's id -> value; out of its range it is the end of the range. What is not
                named, or is no knob, is as it was.
        """
        changes = []
        for knob in self.knobs:
            value = clamped(knob, settings.get(knob.id, knob.was))
            if value != knob.was:
                changes.append(KINDS[knob.kind](knob, value))
        return self._player.with_all(changes)


def clamped(knob: Knob, value: float) -> float:
    """Return a value inside the range; as it was where it is no number."""
    return knob.was if math.isnan(value) else min(max(value, knob.low), knob.high)


def knobs_at(place: Place, record: Record) -> Iterator[Knob]:
    """Yield what may be changed at a place; nothing where nobody could change anything."""
    if place.kind == "budget":
        step = _notch(place.limit_s)
        notches = max(1, round(place.limit_s / step))
        yield _knob(PATIENCE, place, step, notches * 4 * step, step, notches * step)
    elif place.kind == "queue":
        most = max(place.units * _MOST_PLACES, place.units + _LEAST_RANGE)
        yield _knob(PLACES, place, 1, most, 1, place.units)
    elif place.kind in _ENDS and place.calls >= MANY_CALLS:
        calls = round(place.calls)
        yield _knob(CALLS, place, 1, calls, 1, calls)
    elif place.kind in _ENDS:
        longest_s = min(_longest_s(place.leaves, record), 2 * place.limit_s)
        step = _notch(longest_s)
        high = max(step, math.ceil(longest_s / step) * step)
        yield _knob(LONGEST, place, 0, high, step, high)
        if place.kind == "stall":
            yield _knob(ELSEWHERE, place, 0, 1, 1, 0)


def _knob(kind: str, place: Place, low: float, high: float, step: float, was: float) -> Knob:
    named = repr((kind, place.resource, sorted(place.leaves)))
    name = f"{kind}-{hashlib.sha256(named.encode()).hexdigest()[:8]}"
    low, high, was = round(low, 6), round(high, 6), round(was, 6)
    return Knob(name, kind, place.what, low, high, step, was, place.leaves, place.resource)


def _notch(longest_s: float) -> float:
    """Return 1, 2 or 5 of some power of ten, such that a range has about forty of it."""
    wanted = max(longest_s / _NOTCHES, 1e-3)
    power = 10.0 ** math.floor(math.log10(wanted))
    factor = next(f for f in (1, 2, 5, 10) if wanted <= f * power * 1.000001)
    return round(factor * power, 6)


def _longest_s(leaves: Collection[Key], record: Record) -> float:
    """Return how long the longest call took; infinity if one was never seen to end."""
    longest_ns = 0.0
    for job in record.jobs:
        calls_ns: dict[str, float] = defaultdict(float)
        for step in job.steps:
            if isinstance(step, Work | Block) and step.leaf in leaves:
                calls_ns[step.call] += step.length_ns
        longest_ns = max(longest_ns, *calls_ns.values(), 0.0)
    return longest_ns / 1e9


def _longest(knob: Knob, value: float) -> Change:
    return Change(f"{knob.what} took at most {value:.3g} s", knob.leaves, longest_s=value)


def _calls(knob: Knob, value: float) -> Change:
    words = f"{knob.what} was asked {value:.0f} times a request instead of {knob.was:.0f} times"
    return Change(words, knob.leaves, most_calls=value)


def _elsewhere(knob: Knob, value: float) -> Change:
    words = f"{knob.what} took as long, but not on the event loop"
    return Change(words, knob.leaves, off_the_loop=value > 0)


def _places(knob: Knob, value: float) -> Change:
    units = round(value)
    words = f"{knob.what} had {units} places instead of {knob.was:.0f}"
    return Change(words, capacity={knob.resource: units})


def _patience(knob: Knob, value: float) -> Change:
    return Change(f"the gateway waited {value:.3g} s", patience=value / knob.was)


KINDS: Final[Mapping[str, Callable[[Knob, float], Change]]] = {
    LONGEST: _longest,
    CALLS: _calls,
    ELSEWHERE: _elsewhere,
    PLACES: _places,
    PATIENCE: _patience,
}
"""Kind of a knob -> what a setting of it would have been."""
