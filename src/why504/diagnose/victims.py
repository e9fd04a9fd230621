"""Victims: whom somebody gave up on.

They come from the gateway, which sees every request; on demand also from requests that were slow,
or are open now: services without a gateway's log, and the incident that is happening.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from why504 import names
from why504.diagnose.endings import end_of
from why504.model import Evidence, Span

GATEWAY_TIMEOUT = 504
CLIENT_GAVE_UP = 499
NEW_INCIDENT_AFTER_NS = 120 * 1_000_000_000
"""A pause this long between two victims begins a new incident."""
_NEARLY = 0.98
"""Gateways round and start their clocks late; a client that waited this share waited it all."""


class GaveUp(NamedTuple):
    """A request that somebody gave up on, or that took longer than somebody would wait."""

    span: Span
    """The gateway's, or the request's own where no gateway told of it."""
    end_ns: int
    """When it was given up; of what is open, until when it is known of."""
    how: str
    """timeout, slow or in flight."""


def find_victims(
    evidence: Evidence,
    slower_than_s: float | None = None,
    jobs_slower_than_s: float | None = None,
) -> list[GaveUp]:
    """Return the requests that timed out, in the order of giving up.

    A 504 always is one. A client that hung up (499) is one only after the gateway's own limit:
    before that it says nothing about the service. Behind a chain of gateways a request is told by
    the outermost only.

    Args:
        evidence: in which they are looked for.
        slower_than_s: what also counts: requests that took longer, or are open for longer.
        jobs_slower_than_s: the same of messages that are worked on; as of requests when omitted.
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
    found = [GaveUp(span, span.end_ns or 0, "timeout") for span in timed_out + gave_up]
    known = {(one.span.trace_id, one.span.span_id) for one in found}
    outermost = [one for one in found if (one.span.trace_id, one.span.parent_id) not in known]
    if slower_than_s is not None:
        traces = {one.span.trace_id for one in found}
        limits_s = {
            "server": slower_than_s,
            "consumer": slower_than_s if jobs_slower_than_s is None else jobs_slower_than_s,
        }
        outermost += [o for o in _slow(evidence, limits_s) if o.span.trace_id not in traces]
    return sorted(outermost, key=lambda one: (one.end_ns, one.span.span_id))


def _slow(evidence: Evidence, limits_s: Mapping[str, float]) -> Iterator[GaveUp]:
    """Yield requests that took longer: of one trace the outermost server that anybody told of.

    And messages, each for itself: nobody waits for them but who sent them.
    """
    known = {(span.trace_id, span.span_id) for span in evidence.spans}
    for span in evidence.spans:
        limit_s = limits_s.get(span.kind)
        if limit_s is None or (span.kind == "server" and (span.trace_id, span.parent_id) in known):
            continue
        end_ns = end_of(span, evidence.heard_ns)
        if (end_ns - span.start_ns) / 1e9 >= max(limit_s, 1e-9):
            yield GaveUp(span, end_ns, "in flight" if span.end_ns is None else "slow")


def bursts(victims: Sequence[GaveUp]) -> Iterator[list[GaveUp]]:
    """Yield victims in bursts, each two minutes of quiet apart; input in order of giving up."""
    burst: list[GaveUp] = []
    for victim in victims:
        if burst and victim.span.start_ns - burst[-1].end_ns > NEW_INCIDENT_AFTER_NS:
            yield burst
            burst = []
        burst.append(victim)
    if burst:
        yield burst


def _limit_s(span: Span, usual_s: float) -> float:
    """Return the gateway's limit as told, else how long it usually waited before a 504."""
    told_s = told_limit_s(span)
    return usual_s if told_s is None else told_s


def told_limit_s(span: Span) -> float | None:
    """Return how long a gateway waits at most, as its span tells; None where it does not."""
    told = span.attributes.get(names.GATEWAY_TIMEOUT_S)
    return float(told) if isinstance(told, int | float) and 0 < told < math.inf else None


def _length_s(span: Span) -> float:
    return ((span.end_ns or span.start_ns) - span.start_ns) / 1e9
