"""What there was of everything but pools: 504s, requests, stalls, calls, queues, vitals."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Final, TypeVar

import numpy as np

from why504 import names
from why504.diagnose.course.buckets import Floats, Mask
from why504.diagnose.course.calls import attempts
from why504.diagnose.course.reading import Reading, Series, number, process_names, series
from why504.diagnose.course.requests import outermost
from why504.diagnose.peers import failed
from why504.diagnose.victims import find_victims
from why504.model import Evidence, Hold, Incident, Span, Stall, Vitals

K = TypeVar("K")
T = TypeVar("T")
_MOST: Final = 2
"""So many loops, peers, queues or processes each, those that stand out most."""
_QUEUES_TOLD: Final = 10
"""RabbitMQ's deepest queues are told; where fewer are, all others are empty."""
_TOLD_FOR_S: Final = 45.0
"""Queues are asked for every 30 s."""
_QUEUE: Final = re.compile(r"(?P<name>.{1,300}): (?P<ready>\d{1,15}) ready,")
_IDLE_CORES: Final = 0.05
_MUCH_MEMORY: Final = 0.5
"""Memory is shown from this share of what the process may use."""


def timeouts(reading: Reading, incident: Incident) -> list[Series]:
    """Return the 504s a second, of all incidents; also those who gave up on a slow answer."""
    found = find_victims(reading.evidence)
    known = {(one.span.trace_id, one.span.span_id) for one in found}
    others = [v for v in incident.victims if (v.trace_id, v.span_id) not in known]
    ends_ns = [one.end_ns for one in found] + [v.gave_up_ns for v in others]
    weight = reading.weights([one.span for one in found])
    more = np.array([victim.stands_for for victim in others], np.float64)
    buckets = reading.buckets
    rate = buckets.rate(buckets.seconds(ends_ns), np.concatenate((weight, more)))
    during = [buckets.seconds([ns]) for ns in (incident.window.start_ns, incident.window.end_ns)]
    heard = reading.heard(_who_tells_of_requests(reading.evidence)) | buckets.touched(*during)
    return [series("timeouts", "", rate, heard)]


def open_requests(reading: Reading) -> list[Series]:
    """Return how many requests were open, the most at once; nothing of a sample.

    A gateway tells of a request once it is over: of the last ones nobody knows yet.
    """
    if reading.evidence.sample:
        return []
    spans = outermost(reading.evidence)
    gateways = [span for span in spans if span.service == names.GATEWAY_SERVICE]
    instances = _who_tells_of_requests(reading.evidence)
    values = reading.buckets.most(
        reading.starts_s(spans), reading.ends_s(spans), np.ones(len(spans))
    )
    values[reading.buckets.edges_s[1:] > _told_until_s(reading, gateways or spans)] = math.nan
    return _standing_out([series("open", "", values, reading.heard(instances))])


def _told_until_s(reading: Reading, spans: Sequence[Span]) -> float:
    """Return before when whoever began has been told of: by now it has been given up."""
    heard_ns = (reading.evidence.heard_ns.get(span.instance) for span in spans)
    heard_s = reading.buckets.seconds(ns for ns in heard_ns if ns is not None)
    last_s = max(heard_s.max(initial=0.0), reading.ends_s(spans).max(initial=0.0))
    gave_up = [one.span for one in find_victims(reading.evidence)] or spans
    lengths_s = reading.ends_s(gave_up) - reading.starts_s(gave_up)
    return float(last_s - lengths_s.max(initial=0.0))


def stalls(reading: Reading) -> list[Series]:
    """Return how much of the time event loops stood still, the worst first."""
    return _standing_out(
        [
            series("stalled", resource, _stood(reading, told), _vital(reading, told), 1.0)
            for (resource, _), told in _by(reading.evidence.stalls, _loop).items()
        ]
    )


def failed_calls(reading: Reading) -> list[Series]:
    """Return failed attempts at LLMs a second: 429, 5xx, no answer."""
    calls = attempts(reading.evidence)
    found: list[Series] = []
    for name, told in calls.items():
        bad = [span for span in told if span.end_ns is not None and failed(span)]
        rate = reading.buckets.rate(reading.ends_s(bad), reading.weights(bad))
        known = reading.heard({span.instance for span in told})
        found.append(series("llm_errors", name, rate, known))
    return _standing_out(found)


def queued(reading: Reading) -> list[Series]:
    """Return how many messages were ready in RabbitMQ's deepest queues, as it told."""
    return _standing_out(
        [
            one
            for told in _queues(reading.evidence).values()
            for one in _depths(reading, sorted(told, key=itemgetter(0)))
        ]
    )


def _depths(reading: Reading, told: Sequence[tuple[int, Mapping[str, float]]]) -> Iterator[Series]:
    at_s = reading.buckets.seconds(at_ns for at_ns, _ in told)
    for name in sorted({name for _, depths in told for name in depths}):
        # Not among the ten deepest: nobody told, unless there are fewer than ten.
        values = [
            depths.get(name, math.nan if len(depths) >= _QUEUES_TOLD else 0.0) for _, depths in told
        ]
        lasting = reading.buckets.lasting(at_s, np.array(values), _TOLD_FOR_S)
        yield series("queued", name, lasting, ~np.isnan(lasting))


def vitals(reading: Reading) -> list[Series]:
    """Return the cores that processes used, and their memory where it was much of what they may."""
    called = process_names(reading.evidence)
    cores: list[Series] = []
    memory: list[Series] = []
    for instance, told in _by(reading.evidence.vitals, attrgetter("instance")).items():
        lasted = [one for one in told if one.end_ns is not None and one.end_ns > one.start_ns]
        name = called.get(instance, instance)
        cores += _per_process(reading, "cpu", name, lasted)
        memory += _per_process(reading, "memory", name, lasted)
    busy = [one for one in cores if one.most > _IDLE_CORES]
    full = [one for one in memory if one.limit and one.most > one.limit * _MUCH_MEMORY]
    return _standing_out(busy) + _standing_out(full)


def _per_process(
    reading: Reading, kind: str, name: str, told: Sequence[Vitals]
) -> Iterator[Series]:
    """Yield the average of what was told of intervals, over those that told it."""
    value_name, limit_name = _VITALS[kind]
    known = [
        (one, value) for one in told if (value := number(one.attributes, value_name)) is not None
    ]
    if not known:
        return
    items = [one for one, _ in known]
    start_s, end_s = reading.starts_s(items), reading.ends_s(items)
    values = np.array([value for _, value in known])
    amount = values / (end_s - start_s) if kind == "cpu" else values
    covered = reading.buckets.filled(start_s, end_s, np.ones(len(items)))
    total = reading.buckets.filled(start_s, end_s, amount)
    average = np.divide(total, covered, out=np.full(len(total), np.nan), where=covered > 0)
    limits = [value for one in items if (value := number(one.attributes, limit_name)) is not None]
    yield series(kind, name, average, covered > 0, max(limits, default=None))


_VITALS: Final = {
    "cpu": (names.CPU_USED_S, names.CPU_LIMIT),
    "memory": (names.MEMORY_RSS, names.MEMORY_LIMIT),
}
"""Kind of a series -> what is told, and its limit."""


def _standing_out(found: Sequence[Series]) -> list[Series]:
    ranked = sorted(found, key=lambda one: (-sum(v for v in one.values if v is not None), one.name))
    return [one for one in ranked if one.most > 0][:_MOST]


def _who_tells_of_requests(evidence: Evidence) -> set[str]:
    servers = [span for span in evidence.spans if span.kind == "server"]
    gateways = {span.instance for span in servers if span.service == names.GATEWAY_SERVICE}
    return gateways or {span.instance for span in servers}


def _loop(stall: Stall) -> tuple[str, str]:
    return stall.resource, stall.instance


def _stood(reading: Reading, told: Sequence[Stall]) -> Floats:
    share = reading.buckets.filled(reading.starts_s(told), reading.ends_s(told), np.ones(len(told)))
    return np.asarray(share.clip(0.0, 1.0))


def _vital(reading: Reading, told: Sequence[Stall]) -> Mask:
    return reading.vital({stall.instance for stall in told})


def _queues(evidence: Evidence) -> Mapping[str, list[tuple[int, Mapping[str, float]]]]:
    """Return what each broker told of its queues: when, and how many messages were ready."""
    found: dict[str, list[tuple[int, Mapping[str, float]]]] = defaultdict(list)
    for item in chain[Span | Hold](evidence.spans, evidence.holds):
        told = item.attributes.get(names.BROKER_QUEUES)
        if told:
            lines = told if isinstance(told, Sequence) and not isinstance(told, str) else [told]
            matches = [_QUEUE.match(str(line)[:400]) for line in lines[:_QUEUES_TOLD]]
            ready = {match["name"]: float(match["ready"]) for match in matches if match}
            found[item.instance].append((item.last_seen_ns, ready))
    return found


def _by(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found
