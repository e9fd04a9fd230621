"""Moments: processes that started or fell silent, and a broker's alarms."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

from why504 import names
from why504.diagnose.course.reading import Item, Reading, process_names
from why504.model import Evidence, Span, Stall, Vitals

MOST: Final = 12
_TELLS_EVERY_S: Final = 31.0
"""A process tells its vitals every 30 s at least, so that one that told none was not there."""
_SILENT_AFTER_S: Final = 60.0
"""Whoever tells no vitals may have nothing to tell for a while."""
_HANDED_OVER_S: Final = 60.0
"""Between the last word of a process and the first of the one that takes its place."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened at one moment."""

    at_ns: int
    kind: str
    """started (a process was heard of for the first time, after another of its service), silent
    (for the last time), alarm (of a broker's node; or its management API fell silent) and
    alarm_over."""
    what: str
    """Whose, for people: `context-handling, process 4242`, `memory alarm of rabbit@mq-1`."""


class _Life(NamedTuple):
    """When a process was heard of, in seconds since the start of the window."""

    service: str
    instance: str
    first_s: float
    last_s: float
    tells_vitals: bool


def moments(reading: Reading) -> list[Moment]:
    """Return what happened, in order; the same to several in one bucket counts as one, at most 12.

    Processes count that answer requests or tell of themselves: not gateways, nor who watches
    databases and brokers.
    """
    found = [*_starts_and_silences(reading), *_alarms(reading)]
    last_s = reading.buckets.edges_s[-1]
    found = [row for row in found if 0 <= row[0] <= last_s]
    return _together(reading, sorted(found))[:MOST]


_Row = tuple[float, str, str, str]
"""When, kind, of whom, and what is said of it."""


def _starts_and_silences(reading: Reading) -> Iterator[_Row]:
    lives: dict[str, list[_Life]] = defaultdict(list)
    for life in _lives(reading):
        lives[life.service].append(life)
    called = process_names(reading.evidence)
    known_s = _known_until_s(reading)
    began_s = _known_from_s(reading)
    for service, alike in lives.items():
        started = [life for life in alike if _started(life, alike, began_s)]
        for life in alike:
            said = f"{service}, {called.get(life.instance, life.instance)}"
            if life in started:
                yield life.first_s, "started", service, said
            quiet_s = _TELLS_EVERY_S if life.tells_vitals else _SILENT_AFTER_S
            followed = any(
                -_HANDED_OVER_S < other.first_s - life.last_s < _HANDED_OVER_S
                for other in started
                if other is not life and other.last_s > life.last_s
            )
            if known_s - life.last_s > quiet_s or (followed and known_s > life.last_s):
                yield life.last_s, "silent", service, said


def _started(life: _Life, alike: Sequence[_Life], began_s: float) -> bool:
    """Return whether a process was not there before, while another of its service was."""
    others = [other for other in alike if other.first_s < life.first_s]
    if life.tells_vitals and life.first_s - began_s > _TELLS_EVERY_S:
        return bool(others)
    # It may have been there and had nothing to tell, unless it took the place of another.
    return any(abs(life.first_s - other.last_s) < _HANDED_OVER_S for other in others)


def _lives(reading: Reading) -> Iterator[_Life]:
    evidence = reading.evidence
    told: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in _own_words(evidence):
        told[item.service, item.instance].append(item)
    for (service, instance), items in told.items():
        own = [item for item in items if isinstance(item, Vitals)]
        if evidence.sample and not own:
            continue  # what was read first need not be the first that there was
        last_s = reading.ends_s(items).max()
        heard_ns = evidence.heard_ns.get(instance)
        if heard_ns is not None:
            last_s = max(last_s, reading.buckets.seconds([heard_ns])[0])
        first_s = reading.starts_s(own or items).min()
        yield _Life(service, instance, float(first_s), float(last_s), bool(own))


def _own_words(evidence: Evidence) -> Iterator[Span | Stall | Vitals]:
    for item in chain[Span | Stall | Vitals](evidence.spans, evidence.stalls, evidence.vitals):
        tells_of_itself = not isinstance(item, Span) or item.kind == "server"
        if tells_of_itself and item.instance and item.service != names.GATEWAY_SERVICE:
            yield item


def _known_from_s(reading: Reading) -> float:
    """Return since when vitals are known."""
    return float(reading.starts_s(reading.evidence.vitals).min(initial=math.inf))


def _known_until_s(reading: Reading) -> float:
    """Return until when anything is known, within the window."""
    heard_s = reading.buckets.seconds(reading.evidence.heard_ns.values())
    return float(min(heard_s.max(initial=0.0), reading.buckets.edges_s[-1]))


def _alarms(reading: Reading) -> Iterator[_Row]:
    holds = [h for h in reading.evidence.holds if names.BROKER_TROUBLE in h.attributes]
    for hold, start_s in zip(holds, reading.starts_s(holds).tolist(), strict=True):
        place = hold.resource.partition(":")[2]
        trouble = str(hold.attributes[names.BROKER_TROUBLE])[:40]
        silent = trouble == names.BROKER_SILENT
        said = f"management API of {place}" if silent else f"{trouble} alarm of {place}"
        yield start_s, "alarm", place, said
        if hold.end_ns is not None:
            yield float(reading.buckets.seconds([hold.end_ns])[0]), "alarm_over", place, said


def _together(reading: Reading, rows: Sequence[_Row]) -> list[Moment]:
    """Return rows, in order, as moments: alike ones of a bucket are one, told by its first."""
    alike: dict[tuple[int, str, str], list[_Row]] = {}
    for row in rows:
        place = int(row[0] * 1e9) // reading.buckets.bucket_ns
        alike.setdefault((place, row[1], row[2]), []).append(row)
    return [_moment(reading, each) for each in alike.values()]


def _moment(reading: Reading, alike: Sequence[_Row]) -> Moment:
    at_s, kind, _, said = alike[0]
    more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
    return Moment(reading.buckets.window.start_ns + round(at_s * 1e9), kind, said + more)
