"""Which spans are one LLM call.

A call is the span that an instrumentation of the LLM's client makes (`gen_ai.*`), with the HTTP
requests inside it as its attempts. Where nothing but HTTP requests is told, those at one peer by
the same caller, each begun after the one before it had failed, are one call.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from why504 import names
from why504.diagnose.activity import route_of
from why504.diagnose.peers import call_name, failed, peer_of
from why504.model import Attributes, Evidence, Span

_AROUND: Final = frozenset({"invoke_agent", "create_agent", "execute_tool", "invoke_workflow"})
"""Operations that contain calls of a model, and are none."""
_MOST_HOPS: Final = 64
"""So far up is looked for whose call it is: parents of hostile spans go in circles."""

Key = tuple[str, str]
"""Trace id and span id."""


@dataclass(slots=True)
class Told:
    """What is told of one call."""

    route: str
    """Whose call it is: the request's route, else the name of the outermost span that is known."""
    span: Span | None
    """None where only its attempts are told."""
    around: Span | None
    """Who made it; None where that is not told."""
    attempts: list[Span] = field(default_factory=list)
    """HTTP requests, in no order; at least one where there is no span."""
    inner: list[Span] = field(default_factory=list)
    """Spans of models inside of it."""


class _Above(NamedTuple):
    """What a span is a part of; of several, the outermost."""

    call: Key | None
    attempt: Key | None
    route: str


def calls_told(evidence: Evidence) -> list[Told]:
    """Return every call with what is told of it, in no order."""
    return _Finding(evidence).told()


class _Finding:
    """Finds out what is whose; no other telemetry than that of models and of HTTP is kept."""

    def __init__(self, evidence: Evidence) -> None:
        self._spans = {(span.trace_id, span.span_id): span for span in evidence.spans}
        self._calls: dict[Key, Span] = {}
        self._requests: dict[Key, Span] = {}
        """Outgoing HTTP requests, whomever they went to."""
        for key, span in self._spans.items():
            if span.kind in ("server", "consumer"):
                continue
            if names.HTTP_METHOD in span.attributes or "http.method" in span.attributes:
                if span.kind == "client":
                    self._requests[key] = span
            elif peer_of(span.attributes) == "llm" and not _is_around(span.attributes):
                self._calls[key] = span

    def told(self) -> list[Told]:
        above = {key: self._above(span) for key, span in self._calls.items()}
        found = {
            key: Told(above[key].route, span, self._parent(span))
            for key, span in self._calls.items()
            if above[key].call is None and above[key].attempt is None
        }
        bare = self._attempts(found)
        chained = [told for rows in bare.values() for told in _chained(rows)]
        owners = {(s.trace_id, s.span_id): told for told in chained for s in told.attempts}
        for key, span in self._calls.items():
            place = above[key]
            inside = found.get(place.call) if place.call else None
            inside = inside or (owners.get(place.attempt) if place.attempt else None)
            if inside is not None and inside.span is not span:
                inside.inner.append(span)
        return [*found.values(), *chained]

    def _attempts(self, found: dict[Key, Told]) -> dict[tuple[str, str, str], list[Told]]:
        """Give calls their attempts; return the others, by caller and peer."""
        bare: dict[tuple[str, str, str], list[Told]] = defaultdict(list)
        for span in self._requests.values():
            place = self._above(span)
            # What a proxy asks for somebody's attempt is a part of that.
            if place.attempt is not None:
                continue
            if place.call in found:
                found[place.call].attempts.append(span)
            elif place.call is None and _is_to_a_model(span.attributes):
                alike = (span.trace_id, span.parent_id or "", call_name(span))
                bare[alike].append(Told(place.route, None, self._parent(span), [span]))
        return bare

    def _above(self, span: Span) -> _Above:
        call: Key | None = None
        attempt: Key | None = None
        route, outermost = "", span
        for _ in range(_MOST_HOPS):
            key = (span.trace_id, outermost.parent_id or "")
            above = self._spans.get(key)
            if above is None or above is span:
                break
            outermost = above
            if key in self._calls:
                call = key
            elif key in self._requests and _is_to_a_model(above.attributes):
                attempt = key
            elif not route and above.kind in ("server", "consumer"):
                route = "" if above.service == names.GATEWAY_SERVICE else route_of(above)
        return _Above(call, attempt, route or route_of(outermost))

    def _parent(self, span: Span) -> Span | None:
        return self._spans.get((span.trace_id, span.parent_id or ""))


def _chained(rows: Iterable[Told]) -> Iterator[Told]:
    """Yield attempts by one caller at one peer as calls; those yielded may still get more."""
    waiting: list[tuple[int, int, Told]] = []
    """Calls whose last attempt failed, by when it ended; the number breaks ties."""
    for number, one in enumerate(sorted(rows, key=lambda told: told.attempts[0].start_ns)):
        span, told = one.attempts[0], one
        if waiting and waiting[0][0] <= span.start_ns:
            told = heapq.heappop(waiting)[2]
            told.attempts.append(span)
        else:
            yield told
        if span.end_ns is not None and failed(span):
            heapq.heappush(waiting, (span.end_ns, number, told))


def _is_around(attributes: Attributes) -> bool:
    return attributes.get(names.GEN_AI_OPERATION) in _AROUND


def _is_to_a_model(attributes: Attributes) -> bool:
    """Return whether an HTTP request went to a model; inside an agent its address has to tell."""
    if _is_around(attributes):
        attributes = {k: v for k, v in attributes.items() if not k.startswith("gen_ai.")}
    return peer_of(attributes) == "llm"
