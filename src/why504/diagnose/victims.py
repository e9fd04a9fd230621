"""Victims: whom somebody gave up on. They come from the gateway, which sees every request."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median

from why504 import names
from why504.model import Evidence, Span

GATEWAY_TIMEOUT = 504
CLIENT_GAVE_UP = 499
NEW_INCIDENT_AFTER_NS = 120 * 1_000_000_000
"""A pause this long between two victims begins a new incident."""
_NEARLY = 0.98
"""Gateways round and start their clocks late; a client that waited this share waited it all."""


def find_victims(evidence: Evidence) -> list[Span]:
    """Return the gateway spans of requests that timed out, in the order of giving up.

    A 504 always is one. A client that hung up (499) is one only after the gateway's own limit:
    before that it says nothing about the service. Behind a chain of gateways a request is told by
    the outermost only.
    """
    gateway = [
        span
        for span in evidence.spans
        if span.service == names.GATEWAY_SERVICE and span.end_ns and span.start_ns < span.end_ns
    ]
    timed_out = [s for s in gateway if s.attributes.get(names.HTTP_STATUS) == GATEWAY_TIMEOUT]
    usual_s = median([_length_s(span) for span in timed_out]) if timed_out else math.inf
    gave_up = [
        span
        for span in gateway
        if span.attributes.get(names.HTTP_STATUS) == CLIENT_GAVE_UP
        and _length_s(span) >= _limit_s(span, usual_s) * _NEARLY
    ]
    found = timed_out + gave_up
    known = {(span.trace_id, span.span_id) for span in found}
    outermost = [s for s in found if (s.trace_id, s.parent_id) not in known]
    return sorted(outermost, key=lambda span: (span.end_ns, span.span_id))


def bursts(victims: Sequence[Span]) -> Iterator[list[Span]]:
    """Yield victims in bursts, each two minutes of quiet apart; input in order of giving up."""
    burst: list[Span] = []
    for victim in victims:
        if burst and victim.start_ns - (burst[-1].end_ns or 0) > NEW_INCIDENT_AFTER_NS:
            yield burst
            burst = []
        burst.append(victim)
    if burst:
        yield burst


def _limit_s(span: Span, usual_s: float) -> float:
    """Return the gateway's limit as told, else how long it usually waited before a 504."""
    told = span.attributes.get(names.GATEWAY_TIMEOUT_S)
    return float(told) if isinstance(told, int | float) else usual_s


def _length_s(span: Span) -> float:
    return ((span.end_ns or span.start_ns) - span.start_ns) / 1e9
