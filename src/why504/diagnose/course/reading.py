"""Evidence made ready for counting: one clock, weights, and who was heard of when."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Final

import numpy as np

from why504.diagnose.clocks import in_step
from why504.diagnose.course.buckets import Buckets, Floats, Mask
from why504.diagnose.endings import end_of
from why504.diagnose.peers import with_nested_calls
from why504.model import Attributes, Evidence, Record, Span, Window

Item = Span | Record
_OF_A_PROCESS: Final = ("loop:", "process:")


@dataclass(frozen=True, slots=True)
class Series:
    """One thing that was measured, bucket by bucket."""

    kind: str
    """timeouts (504s a second), open (requests in flight), pool_in_use (connections or threads, the
    most at once), pool_waiting (who waited, the most at once), stalled (share of each bucket in
    which an event loop stood still), llm_errors (failed calls a second), queued (messages), cpu
    (cores), memory (bytes)."""
    name: str
    """Of what: `db.pool:main`, `loop:4242`, `LLM groq`; empty where there is one only."""
    values: Sequence[float | None]
    """One a bucket; None where nobody told."""
    limit: float | None = None
    """What it can't exceed: the units of a pool; None where it has no limit or nobody told it."""

    @property
    def most(self) -> float:
        """The largest value; 0.0 where nothing was told."""
        return max((value for value in self.values if value is not None), default=0.0)


def ready(evidence: Evidence) -> Evidence:
    """Return the evidence as the engine counts it: on the gateway's clock, no call told twice."""
    told, _ = in_step(evidence)
    return replace(told, spans=with_nested_calls(told))


def everything(evidence: Evidence) -> Iterable[Item]:
    """Yield all spans and records."""
    return chain[Item](
        evidence.spans, evidence.waits, evidence.holds, evidence.stalls, evidence.vitals
    )


def number(attributes: Attributes, name: str) -> float | None:
    """Return an attribute that is a number and not below zero; None for anything else."""
    value = attributes.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def process_names(evidence: Evidence) -> Mapping[str, str]:
    """Return what to call instances that told their process id: `process 4242`."""
    return {
        record.instance: f"process {record.resource.partition(':')[2]}"
        for record in chain[Record](evidence.stalls, evidence.vitals)
        if record.resource.startswith(_OF_A_PROCESS)
    }


class Reading:
    """Evidence over the buckets of a window."""

    def __init__(self, evidence: Evidence, window: Window) -> None:
        """Take evidence that is `ready`."""
        self.evidence = evidence
        self.buckets = Buckets(window)
        self._stands_for = evidence.sample.stands_for if evidence.sample else {}

    def starts_s(self, items: Sequence[Item]) -> Floats:
        """Return when each began."""
        return self.buckets.seconds(item.start_ns for item in items)

    def ends_s(self, items: Sequence[Item]) -> Floats:
        """Return when each ended, or was known to go on."""
        heard_ns = self.evidence.heard_ns
        return self.buckets.seconds(end_of(item, heard_ns) for item in items)

    def weights(self, items: Sequence[Item]) -> Floats:
        """Return for how many alike each stands: 1.0 where everything was read."""
        return np.array([self._stands_for.get(item.trace_id, 1.0) for item in items], np.float64)

    def heard(self, instances: Collection[str]) -> Mask:
        """Return in which buckets any of some processes was heard of."""
        return self._any(self._heard, instances)

    def vital(self, instances: Collection[str]) -> Mask:
        """Return the same for what is always told and always read: stalls and vitals."""
        return self._any(self._vital if self.evidence.sample else self._heard, instances)

    def known_s(self, instance: str) -> tuple[float, float]:
        """Return from when to when a process told, or would have told, that its loop stood."""
        own: list[Item] = [one for one in self.evidence.vitals if one.instance == instance]
        told = (
            everything(self.evidence)
            if not own and not self.evidence.sample
            else (self.evidence.stalls)
        )
        own += [one for one in told if one.instance == instance]
        first_s, last_s = self.starts_s(own).min(), self.ends_s(own).max()
        heard_ns = self.evidence.heard_ns.get(instance)
        if heard_ns is not None:
            last_s = max(last_s, self.buckets.seconds([heard_ns])[0])
        return float(first_s), float(last_s)

    def _any(self, known: Mapping[str, Mask], instances: Collection[str]) -> Mask:
        result = np.zeros(len(self.buckets), np.bool_)
        for instance in instances:
            if instance in known:
                result |= known[instance]
        return result

    @cached_property
    def _heard(self) -> dict[str, Mask]:
        told = _by_instance(everything(self.evidence))
        if self.evidence.sample:  # there are gaps, since not everything was read
            return {instance: self._from_first(items) for instance, items in told.items()}
        continuous = {vitals.instance for vitals in self.evidence.vitals}
        return {
            instance: self._touched(items) if instance in continuous else self._from_first(items)
            for instance, items in told.items()
        }

    @cached_property
    def _vital(self) -> dict[str, Mask]:
        told = _by_instance(chain[Item](self.evidence.stalls, self.evidence.vitals))
        return {instance: self._touched(items) for instance, items in told.items()}

    def _touched(self, items: Sequence[Item]) -> Mask:
        return self.buckets.touched(self.starts_s(items), self.ends_s(items))

    def _from_first(self, items: Sequence[Item]) -> Mask:
        """Whoever tells no vitals is silent too while nobody asks anything of it."""
        first_s, last_s = self.starts_s(items).min(), self.ends_s(items).max()
        heard_ns = self.evidence.heard_ns.get(items[0].instance)
        if heard_ns is not None:
            last_s = max(last_s, self.buckets.seconds([heard_ns])[0])
        return self.buckets.touched(np.array([first_s]), np.array([last_s]))


def series(kind: str, name: str, values: Floats, known: Mask, limit: float | None = None) -> Series:
    """Return values as a series: None where they are NaN, or 0 and nobody was heard of."""
    told = [
        None if math.isnan(value) or not (value or heard) else value
        for value, heard in zip(values.tolist(), known.tolist(), strict=True)
    ]
    return Series(kind, name, told, limit)


def _by_instance(items: Iterable[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item.instance].append(item)
    return found
