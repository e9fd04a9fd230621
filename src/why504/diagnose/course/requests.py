"""Requests as whoever asked saw them: by the gateway, else by the service that got them first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from why504 import names
from why504.diagnose.activity import route_of
from why504.diagnose.peers import status_of
from why504.diagnose.victims import CLIENT_GAVE_UP
from why504.model import Evidence, Span

_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, from outside."""

    span: Span
    route: str
    failed: bool
    """It was answered with an error of the server, or whoever asked hung up."""


def outermost(evidence: Evidence) -> list[Span]:
    """Return the span of each request that is seen by whoever asked, in the order of the evidence.

    What a service asks of another one is part of the request that made it ask.
    """
    servers = [span for span in evidence.spans if span.kind == "server"]
    known = {(span.trace_id, span.span_id) for span in evidence.spans}
    return [span for span in servers if (span.trace_id, span.parent_id) not in known]


def asked(evidence: Evidence) -> list[Asked]:
    """Return all requests, each once, in the order of the evidence."""
    spans = outermost(evidence)
    routes = _routes([span for span in evidence.spans if span.kind == "server"], spans)
    return [Asked(span, routes.get(span.name) or route_of(span), _failed(span)) for span in spans]


def _routes(servers: Sequence[Span], seen: Sequence[Span]) -> dict[str, str]:
    """Return the application's route by the gateway's name for it, where there is only one."""
    gateway = {
        (span.trace_id, span.span_id): span.name
        for span in seen
        if span.service == names.GATEWAY_SERVICE
    }
    routes: dict[str, set[str]] = defaultdict(set)
    for span in servers:
        name = gateway.get((span.trace_id, span.parent_id or ""))
        if name is not None:
            routes[name].add(route_of(span))
    return {name: next(iter(known)) for name, known in routes.items() if len(known) == 1}


def _failed(span: Span) -> bool:
    status = status_of(span.attributes)
    if status is None:
        return span.status == "error"
    return status >= _SERVER_ERROR or status == CLIENT_GAVE_UP
