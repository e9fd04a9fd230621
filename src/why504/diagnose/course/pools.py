"""What requests waited for: how many had it, and how many waited, at the worst moments.

What a wait says of its queue as it began counts for more than what can be counted of a sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from why504 import names
from why504.diagnose.blame import resource_key
from why504.diagnose.course.buckets import Floats
from why504.diagnose.course.reading import Reading, Series, number, process_names, series
from why504.diagnose.leaves import POOLS
from why504.diagnose.steps import Presence
from why504.model import Hold, Record, Wait

MOST: Final = 3
"""So many resources, those that were waited for longest."""
_HAS_UNITS: Final = (*POOLS, "limiter:", names.THREADPOOL)
"""Of these it says something how many are in use; of a lock there is one."""
ALARMS: Final = "broker:"
_NEARLY_ALL: Final = 0.8
"""A process with this share of all waiting is shown alone: beside idle ones it would look idle."""


@dataclass
class _Queue:
    """One resource of one process, or one that processes share."""

    reading: Reading
    key: str
    waits: list[Wait] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)

    @property
    def instances(self) -> set[str]:
        return {record.instance for record in [*self.waits, *self.holds]}

    @cached_property
    def waited_s(self) -> float:
        """Seconds of waiting, within the window."""
        return self._lasted_s(self.waits)

    @cached_property
    def held_s(self) -> float:
        return self._lasted_s(self.holds)

    @cached_property
    def capacity(self) -> float | None:
        told = (number(wait.attributes, names.POOL_CAPACITY) for wait in self.waits)
        return max((units for units in told if units is not None), default=None)

    def waiting(self) -> Floats:
        """Return how many waited."""
        read = self.reading
        counted = read.buckets.most(*_columns(read, self.waits))
        told = self._told(names.POOL_WAITING)
        # Of a sample those are counted that stand for others: what was told is exact.
        return np.where(np.isnan(told), counted, told) if read.evidence.sample else _max(
            counted, told
        )  # fmt: skip

    def in_use(self) -> Floats:
        """Return how many were in use, of those that were kept for a while or waited for."""
        read = self.reading
        sample = read.evidence.sample
        present = sample.holders.get(self.key) if sample else None
        if isinstance(present, Presence):
            times_s = (present.times_ns - read.buckets.window.start_ns) / 1e9
            counted = read.buckets.highest(times_s, present.count.astype(np.float64))
        else:
            counted = read.buckets.most(*_columns(read, self.holds))
        most = _max(counted, self._told(names.POOL_IN_USE))
        # A hold whose end got lost is counted for a while beside the one that follows.
        return most if self.capacity is None else np.minimum(most, self.capacity)

    def _told(self, name: str) -> Floats:
        told = [(wait, number(wait.attributes, name)) for wait in self.waits]
        known = [(wait, value) for wait, value in told if value is not None]
        at_s = self.reading.starts_s([wait for wait, _ in known])
        return self.reading.buckets.peaks(at_s, np.array([value for _, value in known]))

    def _lasted_s(self, records: Sequence[Record]) -> float:
        start_s, end_s, weight = _columns(self.reading, records)
        last_s = self.reading.buckets.edges_s[-1]
        lasted_s = (end_s.clip(0, last_s) - start_s.clip(0, last_s)).clip(min=0)
        return float((lasted_s * weight).sum())


def pools(reading: Reading) -> list[Series]:
    """Return who waited for what and how much of it was in use, what was waited for most first."""
    alike: dict[str, list[_Queue]] = defaultdict(list)
    for queue in _queues(reading).values():
        alike[resource_of(queue.key)].append(queue)
    waited_s = {name: sum(queue.waited_s for queue in each) for name, each in alike.items()}
    held_s = {name: sum(queue.held_s for queue in each) for name, each in alike.items()}
    ranked = sorted(alike, key=lambda name: (-waited_s[name], -held_s[name], name))
    processes = process_names(reading.evidence)
    return [
        one
        for resource in ranked[:MOST]
        for one in _of(reading, resource, _who_counts(alike[resource]), processes)
    ]


def _queues(reading: Reading) -> Mapping[str, _Queue]:
    found: dict[str, _Queue] = {}
    for wait in reading.evidence.waits:
        key = resource_key(wait)
        found.setdefault(key, _Queue(reading, key)).waits.append(wait)
    for hold in reading.evidence.holds:
        if not hold.resource.startswith(ALARMS):
            key = resource_key(hold)
            found.setdefault(key, _Queue(reading, key)).holds.append(hold)
    return found


def resource_of(key: str) -> str:
    """Return what is common to a resource of all processes, or of all who head its queue."""
    return key.partition(" of ")[0].partition("#")[0]


def _who_counts(queues: Sequence[_Queue]) -> tuple[Sequence[_Queue], str]:
    """Return the queues to add up; and the only one's instance, if others are left out."""
    total_s = sum(queue.waited_s for queue in queues)
    busiest = max(queues, key=lambda queue: queue.waited_s)
    if len(queues) > 1 and " of " in busiest.key and busiest.waited_s > total_s * _NEARLY_ALL:
        return [busiest], busiest.key.partition(" of ")[2]
    return queues, ""


def _of(
    reading: Reading,
    resource: str,
    counted: tuple[Sequence[_Queue], str],
    processes: Mapping[str, str],
) -> list[Series]:
    queues, alone = counted
    name = f"{resource} of {processes.get(alone, alone)}" if alone else resource
    known = reading.heard({instance for queue in queues for instance in queue.instances})
    found: list[Series] = []
    if resource.startswith(_HAS_UNITS):
        in_use = np.sum([queue.in_use() for queue in queues], axis=0)
        units = [queue.capacity for queue in queues if queue.capacity is not None]
        # A process in which nobody waited told no capacity: a sum without it would be wrong.
        limit = sum(units) if len(units) == len(queues) else None
        found.append(series("pool_in_use", name, in_use, known, limit))
    waiting = np.sum([queue.waiting() for queue in queues], axis=0)
    found.append(series("pool_waiting", name, waiting, known))
    return [one for one in found if one.most > 0]


def _columns(reading: Reading, records: Sequence[Record]) -> tuple[Floats, Floats, Floats]:
    return reading.starts_s(records), reading.ends_s(records), reading.weights(records)


def _max(counted: Floats, told: Floats) -> Floats:
    return np.fmax(counted, told)
