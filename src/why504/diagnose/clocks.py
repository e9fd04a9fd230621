"""Clocks: how far a process's clock is from the gateway's, and evidence put in step with it.

An answered request lies inside its gateway's span. Half of what the gateway's lasted longer passes
before, half after, as NTP assumes; the requests with least to spare say it best. A 504 says
nothing: the application goes on after the gateway gave up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, TypeVar

from why504 import names
from why504.diagnose.activity import Process, process_of
from why504.diagnose.peers import status_of
from why504.model import Evidence, Record, Sample, Span

_FEWEST: Final = 3
"""So many answered requests have to agree before a clock is called wrong."""
_TOLERANCE_NS: Final = 20_000_000
"""Gateways write milliseconds, and a clock that is off by less turns no answer."""
_GAVE_UP: Final = (499, 502, 503, 504)
_T = TypeVar("_T", bound=Span | Record)


@dataclass(frozen=True, slots=True)
class Skew:
    """What has to be added to a process's times."""

    offset_ns: int
    requests: int
    """How many answered requests it was read from."""


def in_step(evidence: Evidence) -> tuple[Evidence, Mapping[Process, Skew]]:
    """Return the evidence on the gateway's clock, and which processes' clocks were off."""
    found = skews(evidence.spans)
    if not found:
        return evidence, found
    by_instance = {instance: skew.offset_ns for (_, instance), skew in found.items()}
    moved = replace(
        evidence,
        spans=_moved(evidence.spans, found),
        waits=_moved(evidence.waits, found),
        holds=_moved(evidence.holds, found),
        stalls=_moved(evidence.stalls, found),
        vitals=_moved(evidence.vitals, found),
        heard_ns={
            instance: heard_ns + by_instance.get(instance, 0)
            for instance, heard_ns in evidence.heard_ns.items()
        },
        sample=evidence.sample and _in_step(evidence.sample, by_instance),
    )
    return moved, found


def _in_step(sample: Sample, by_instance: Mapping[str, int]) -> Sample:
    """Return a sample whose counts of holders are on the gateway's clock too."""
    moved = {
        resource: replace(
            present, times_ns=present.times_ns + by_instance.get(resource.partition(" of ")[2], 0)
        )
        for resource, present in sample.holders.items()
    }
    return replace(sample, holders=moved)


def skews(spans: Iterable[Span]) -> dict[Process, Skew]:
    """Return the processes whose clocks are off by more than can be explained otherwise."""
    gateway: dict[tuple[str, str], Span] = {}
    served: list[Span] = []
    for span in spans:
        if span.end_ns is None or span.kind != "server":
            continue
        if span.service != names.GATEWAY_SERVICE:
            served.append(span)
        elif status_of(span.attributes) not in _GAVE_UP:
            gateway[span.trace_id, span.span_id] = span
    pairs: dict[Process, list[tuple[int, int]]] = defaultdict(list)
    for span in served:
        outer = gateway.get((span.trace_id, span.parent_id or ""))
        if outer is not None and outer.end_ns is not None and span.end_ns is not None:
            before_ns, after_ns = outer.start_ns - span.start_ns, outer.end_ns - span.end_ns
            # Together what the gateway's span lasted longer, whatever the clocks say.
            pairs[process_of(span)].append((after_ns - before_ns, (before_ns + after_ns) // 2))
    offsets = {process: _offset(rows) for process, rows in pairs.items() if len(rows) >= _FEWEST}
    return {
        process: Skew(offset_ns, len(pairs[process]))
        for process, offset_ns in offsets.items()
        if offset_ns
    }


def _offset(pairs: list[tuple[int, int]]) -> int:
    """Return the offset that the requests with least to spare agree on; 0 if it may be none."""
    # Less than nothing to spare: a clock that was set in between, or another attempt.
    rows = sorted(row for row in pairs if row[0] >= -_TOLERANCE_NS)
    if len(rows) < _FEWEST:
        return 0
    best = rows[: max(_FEWEST, len(rows) // 4)]
    offset_ns = int(median(middle_ns for _, middle_ns in best))
    doubt_ns = max(_TOLERANCE_NS, best[-1][0] // 2)
    return offset_ns if abs(offset_ns) > doubt_ns else 0


def _moved(items: Iterable[_T], found: Mapping[Process, Skew]) -> list[_T]:
    return [
        _by(item, skew.offset_ns) if (skew := found.get(process_of(item))) else item
        for item in items
    ]


def _by(item: _T, offset_ns: int) -> _T:
    end_ns = None if item.end_ns is None else item.end_ns + offset_ns
    return replace(
        item,
        start_ns=item.start_ns + offset_ns,
        end_ns=end_ns,
        last_seen_ns=item.last_seen_ns + offset_ns,
    )
