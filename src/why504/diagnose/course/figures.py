"""Figures of one stretch of time: a row a figure, with the function that finds it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, TypeVar

import numpy as np

from why504 import names
from why504.diagnose.course.buckets import Floats, Mask
from why504.diagnose.course.calls import attempts, calls
from why504.diagnose.course.pools import ALARMS, resource_of
from why504.diagnose.course.reading import Item, Reading, everything, number, process_names
from why504.diagnose.course.requests import Asked, asked
from why504.diagnose.peers import failed
from why504.diagnose.victims import find_victims
from why504.model import Incident, Vitals

MOST_ROUTES: Final = 5
MOST: Final = 2
"""So many pools, loops, LLMs and processes each, those that most time went to."""
_FEWEST: Final = {"median": 3, "p99": 10}
"""Of fewer requests it says nothing."""

K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound=Item)


@dataclass(frozen=True, slots=True)
class Columns:
    """Items, an element each."""

    start_s: Floats
    end_s: Floats
    weight: Floats

    @classmethod
    def of(cls, reading: Reading, items: Sequence[Item]) -> Columns:
        """Return the columns of items."""
        start_s = reading.starts_s(items)
        return cls(start_s, np.maximum(start_s, reading.ends_s(items)), reading.weights(items))

    @property
    def total_s(self) -> float:
        """Return how long they lasted together."""
        return float(((self.end_s - self.start_s) * self.weight).sum())


class Side(NamedTuple):
    """A stretch of time, in seconds of a reading."""

    place: str
    """before, during or after: the incident."""
    start_s: float
    end_s: float

    def mine(self, told: Columns) -> Mask:
        """Return what belongs to it: whatever overlaps an incident belongs to the incident.

        What is open after it too says that it is not over, so it counts there as well.
        """
        match self.place:
            case "before":
                return (told.end_s >= self.start_s) & (told.end_s < self.end_s)
            case "during":
                return (told.end_s >= self.start_s) & (told.start_s <= self.end_s)
            case _:
                return (told.end_s > self.start_s) & (told.start_s < self.end_s)

    def at(self, at_s: Floats) -> Mask:
        """Return which moments are in it; both ends of an incident are the incident's."""
        match self.place:
            case "before":
                return (at_s >= self.start_s) & (at_s < self.end_s)
            case "during":
                return (at_s >= self.start_s) & (at_s <= self.end_s)
            case _:
                return (at_s > self.start_s) & (at_s <= self.end_s)

    def overlap_s(self, told: Columns) -> Floats:
        """Return how much of each is inside."""
        start_s, end_s = (
            at_s.clip(self.start_s, self.end_s) for at_s in (told.start_s, told.end_s)
        )
        return np.asarray((end_s - start_s).clip(min=0.0))


class Row(NamedTuple):
    """One figure; `of` is a route, resource or peer, empty for all."""

    measure: str
    of: str
    figure: Callable[[Side], float | None]


def requests(reading: Reading, incident: Incident) -> Iterator[Row]:
    """Yield how many timed out, how many there were and failed, and how long the routes took."""
    told = asked(reading.evidence)
    every = Columns.of(reading, [one.span for one in told])
    found = find_victims(reading.evidence)
    gave_up_s = reading.buckets.seconds(one.end_ns for one in found)
    weight = reading.weights([one.span for one in found])
    yield Row("timeouts", "", partial(_a_second, every, gave_up_s, weight))
    if not reading.evidence.sample:
        yield Row("requests", "", partial(_a_second, every, every.start_s, every.weight))
        yield Row("failed", "", partial(_share, every, np.array([one.failed for one in told])))
    for route in _routes(told, incident):
        mine = Columns.of(reading, [one.span for one in told if one.route == route])
        for measure, share in (("median", 0.5), ("p99", 0.99)):
            yield Row(measure, route, partial(_quantile, mine, share, _FEWEST[measure]))


def waits(reading: Reading) -> Iterator[Row]:
    """Yield how long those waited who did wait: 0 where a process was heard of and nobody did."""
    alike = _by(
        [wait for wait in reading.evidence.waits if not wait.resource.startswith(ALARMS)],
        lambda wait: resource_of(wait.resource),
    )
    for resource, told in _longest(reading, alike):
        instances = {wait.instance for wait in told}
        heard = Columns.of(
            reading, [one for one in everything(reading.evidence) if one.instance in instances]
        )
        yield Row("waited", resource, partial(_waited, Columns.of(reading, told), heard))


def stalls(reading: Reading) -> Iterator[Row]:
    """Yield the share of the time in which an event loop stood still."""
    alike = _by(reading.evidence.stalls, lambda stall: (stall.resource, stall.instance))
    for (resource, instance), told in _longest(reading, alike):
        heard = reading.known_s(instance)
        yield Row("stalled", resource, partial(_stood, Columns.of(reading, told), heard))


def llms(reading: Reading) -> Iterator[Row]:
    """Yield how long calls of LLMs took, how many there were and what share of attempts failed."""
    tried = attempts(reading.evidence)
    for name, told in _longest(reading, calls(reading.evidence)):
        mine = Columns.of(reading, told)
        yield Row("llm", name, partial(_quantile, mine, 0.5, 1))
        if not reading.evidence.sample:
            yield Row("llm_calls", name, partial(_a_second, mine, mine.start_s, mine.weight))
        ended = [span for span in tried.get(name, ()) if span.end_ns is not None]
        bad = np.array([failed(span) for span in ended], np.bool_)
        yield Row("llm_failed", name, partial(_share, Columns.of(reading, ended), bad))


def cores(reading: Reading) -> Iterator[Row]:
    """Yield the cores that processes used."""
    called = process_names(reading.evidence)
    told = [
        (one, seconds)
        for one in reading.evidence.vitals
        if (seconds := number(one.attributes, names.CPU_USED_S)) is not None
        and one.end_ns is not None
        and one.end_ns > one.start_ns
    ]
    alike: dict[str, list[tuple[Vitals, float]]] = defaultdict(list)
    for one, used_s in told:
        alike[one.instance].append((one, used_s))
    ranked = sorted(alike, key=lambda name: (-sum(seconds for _, seconds in alike[name]), name))
    for instance in ranked[:MOST]:
        columns = Columns.of(reading, [one for one, _ in alike[instance]])
        used = np.array([seconds for _, seconds in alike[instance]], np.float64)
        yield Row("cpu", called.get(instance, instance), partial(_cores, columns, used))


def _routes(told: Sequence[Asked], incident: Incident) -> list[str]:
    """Return the routes that were hit most, then those asked for most."""
    asked_for = Counter(one.route for one in told)
    hit = [route for route in incident.routes if route in asked_for]
    others = sorted(set(asked_for) - set(hit), key=lambda route: (-asked_for[route], route))
    return [*hit, *others][:MOST_ROUTES]


def _a_second(known: Columns, at_s: Floats, weight: Floats, side: Side) -> float | None:
    """Return how many there were a second; None where nobody told of any request or call."""
    if not side.mine(known).any():
        return None
    return float(weight[side.at(at_s)].sum() / (side.end_s - side.start_s))


def _share(told: Columns, bad: Mask, side: Side) -> float | None:
    mine = side.mine(told)
    return float(told.weight[mine & bad].sum() / told.weight[mine].sum()) if mine.any() else None


def _quantile(told: Columns, share: float, fewest: int, side: Side) -> float | None:
    """Return the least length that a share of all does not exceed."""
    mine = side.mine(told)
    if mine.sum() < fewest:
        return None
    lasted_s, weight = (told.end_s - told.start_s)[mine], told.weight[mine]
    order = np.argsort(lasted_s, kind="stable")
    reached = np.cumsum(weight[order])
    place = int(np.searchsorted(reached, share * reached[-1] - 1e-9))
    return float(lasted_s[order][min(place, len(order) - 1)])


def _waited(told: Columns, heard: Columns, side: Side) -> float | None:
    waited_s = _quantile(told, 0.99, 1, side)
    return 0.0 if waited_s is None and (side.overlap_s(heard) > 0).any() else waited_s


def _stood(told: Columns, known_s: tuple[float, float], side: Side) -> float | None:
    start_s, end_s = max(known_s[0], side.start_s), min(known_s[1], side.end_s)
    if end_s <= start_s:
        return None
    return min(1.0, float(side.overlap_s(told).sum()) / (end_s - start_s))


def _cores(told: Columns, used_s: Floats, side: Side) -> float | None:
    overlap_s = side.overlap_s(told)
    if not overlap_s.any():
        return None
    return float((used_s * overlap_s / (told.end_s - told.start_s)).sum() / overlap_s.sum())


def _longest(reading: Reading, alike: Mapping[K, Sequence[T]]) -> list[tuple[K, Sequence[T]]]:
    """Return the kinds that most time went to."""
    ranked = sorted(alike, key=lambda kind: (-Columns.of(reading, alike[kind]).total_s, str(kind)))
    return [(kind, alike[kind]) for kind in ranked[:MOST]]


def _by(items: Sequence[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found
