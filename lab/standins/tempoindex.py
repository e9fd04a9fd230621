"""What the stand-in for Tempo keeps and how it answers; no network in it (tempo.py serves it)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lab.standins.tempotraces import plain, resource_spans, seen
from lab.standins.traceql import BadQuery, Query, Seen, parsed

MOST_TRACES: Final = 262_144
LONGEST_S: Final = 168 * 3600
IDLE_S: Final = 1.0
"""`max_trace_idle`: what comes this soon after the last span of a trace is with it."""


class Answer(NamedTuple):
    """What the server says to one request."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


@dataclass(slots=True)
class Part:
    """Spans of one trace that came together: a search sees no more of it."""

    trace_id: bytes
    arrived_s: float
    touched_s: float = 0.0
    spans: list[Seen] = field(default_factory=list)
    start_ns: int = 0
    end_ns: int = 0

    def add(self, span: Seen) -> None:
        """Take one more span."""
        self.start_ns = min(self.start_ns or span.start_ns, span.start_ns)
        self.end_ns = max(self.end_ns, span.end_ns)
        self.spans.append(span)


class Tempo:
    """What Tempo keeps and how it answers; no network in it.

    Args:
        lag_s: what came later is found by its id, and not by a search.
        tenant: who has to be named in `X-Scope-OrgID`; nobody if empty.
        token: what has to be sent as `Authorization: Bearer`; nothing if empty.
        clock: seconds.
    """

    def __init__(
        self,
        *,
        lag_s: float = 0.0,
        tenant: str = "",
        token: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lag_s = lag_s
        self.busy = 0
        """So many requests are still answered with 429."""
        self.asked: list[str] = []
        """Path and query of each question, in order."""
        self._tenant, self._token, self._clock = tenant, token, clock
        self._parts: list[Part] = []
        self._live: dict[bytes, Part] = {}
        self._by_start: list[Part] | None = None
        """Latest first; None once something came."""
        self._spans: dict[bytes, list[tuple[bytes, bytes, Any]]] = {}
        """By trace: the resource and scope in protobuf, and the span."""

    def take(self, body: bytes) -> int:
        """Keep an ExportTraceServiceRequest; return how many spans it has.

        Raises:
            DecodeError: it is something else.
        """
        count, now_s = 0, self._clock()
        for told in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = plain(told.resource.attributes)
            raw_resource = told.resource.SerializeToString()
            for scope in told.scope_spans:
                raw_scope = scope.scope.SerializeToString()
                for span in scope.spans:
                    kept = self._spans.setdefault(span.trace_id, [])
                    kept.append((raw_resource, raw_scope, (told.resource, scope.scope, span)))
                    self._part(span.trace_id, now_s).add(seen(span, resource))
                    count += 1
        return count

    def _part(self, trace_id: bytes, now_s: float) -> Part:
        part = self._live.get(trace_id)
        if part is None or now_s - part.touched_s > IDLE_S:
            part = self._live[trace_id] = Part(trace_id, now_s)
            self._parts.append(part)
        self._by_start = None
        part.touched_s = now_s
        return part

    def settle(self) -> None:
        """Complete the block: parts of a trace become one."""
        whole: dict[bytes, Part] = {}
        for part in self._parts:
            into = whole.setdefault(part.trace_id, Part(part.trace_id, part.arrived_s))
            for span in part.spans:
                into.add(span)
        self._parts = list(whole.values())
        self._by_start = None
        self._live = {}

    def answer(self, target: str, headers: Mapping[str, str]) -> Answer:
        """Answer a GET of a path with a query."""
        self.asked.append(target)
        if self.busy > 0:
            self.busy -= 1
            return _text(429, "job queue full")
        if self._tenant and headers.get("x-scope-orgid") != self._tenant:
            return _text(401, "no org id\n")
        if self._token and headers.get("authorization") != f"Bearer {self._token}":
            return _text(401, "Unauthorized")
        path, _, query = target.partition("?")
        asked = dict(parse_qsl(query))
        try:
            return self._answer(path, asked)
        except BadQuery as error:
            return _text(400, str(error))

    def _answer(self, path: str, asked: Mapping[str, str]) -> Answer:
        if path == "/api/search":
            return _json(self._search(asked))
        if path == "/api/metrics/query":
            return _json(self._count(asked))
        if path.startswith("/api/v2/traces/"):
            return _json(self._trace(path.removeprefix("/api/v2/traces/")))
        return _text(404, "404 page not found\n")

    def _search(self, asked: Mapping[str, str]) -> dict[str, Any]:
        window, limit = _range(asked), _limit(asked)
        query = parsed(asked.get("q", ""))
        most = int(asked.get("spss", 3))
        hits: dict[bytes, tuple[Part, list[Seen]]] = {}
        for part in self._ordered(query):
            if part.start_ns > window[1] or part.end_ns < window[0]:
                continue
            if limit <= len(hits) and part.trace_id not in hits:
                break
            spans = [span for span in part.spans if query.matches(span)]
            if spans:
                # Of a trace in several parts only one part is shown.
                hits.setdefault(part.trace_id, (part, spans))
        ordered = sorted(hits.values(), key=lambda hit: -hit[0].start_ns)
        return {
            "traces": [_shown(part, spans, query, most) for part, spans in ordered],
            "metrics": {"completedJobs": 1, "totalJobs": 1},
        }

    def _ordered(self, query: Query) -> list[Part]:
        settled_s = self._clock() - self.lag_s
        if query.most_recent and self._by_start is None:
            self._by_start = sorted(self._parts, key=lambda part: -part.start_ns)
        parts = self._by_start if query.most_recent and self._by_start else self._parts
        return [part for part in parts if part.arrived_s <= settled_s]

    def _count(self, asked: Mapping[str, str]) -> dict[str, Any]:
        text, _, rest = asked.get("q", "").rpartition(" | ")
        if rest.strip() != "count_over_time()":
            raise BadQuery("not a metrics query")
        start_ns, end_ns = _range(asked)
        if end_ns - start_ns > 24 * 3600 * 10**9:
            longest = "24h0m0s"
            raise BadQuery(
                f"metrics query time range exceeds the maximum allowed duration of {longest}"
            )
        query = parsed(text)
        spans = (span for part in self._ordered(query) for span in part.spans)
        # A span counts at its start.
        number = sum(start_ns <= span.start_ns < end_ns and query.matches(span) for span in spans)
        label = {"key": "__name__", "value": {"stringValue": "count_over_time"}}
        return {"series": [{"labels": [label], **({"value": number} if number else {})}]}

    def _trace(self, told: str) -> dict[str, Any]:
        if not re.fullmatch("[0-9a-fA-F]*", told):
            raise BadQuery("trace IDs can only contain hex characters")
        if len(told) > 32:
            raise BadQuery("trace IDs can't be larger than 128 bits")
        spans = self._spans.get(bytes.fromhex(told.rjust(32, "0")), [])
        by_resource: dict[bytes, dict[bytes, list[Any]]] = {}
        for resource, scope, span in spans:
            by_resource.setdefault(resource, {}).setdefault(scope, []).append(span)
        shown = [resource_spans(list(scopes.values())) for scopes in by_resource.values()]
        return {"trace": {"resourceSpans": shown} if shown else {}, "metrics": {}}


def _shown(part: Part, spans: list[Seen], query: Query, most: int) -> dict[str, Any]:
    root = next((span for span in part.spans if not span.parent_id), None)
    told = {
        "traceID": part.trace_id.hex().lstrip("0"),
        "rootServiceName": "<root span not yet received>",
        "startTimeUnixNano": str(part.start_ns),
        "durationMs": (part.end_ns - part.start_ns) // 1_000_000,
    }
    if root is not None:
        told["rootServiceName"] = str(root.resource.get("service.name", ""))
        told["rootTraceName"] = root.name
    shown = {"spans": [query.shown(span) for span in spans[:most]], "matched": len(spans)}
    return {**told, "spanSet": shown, "spanSets": [shown]}


def _range(asked: Mapping[str, str]) -> tuple[int, int]:
    start, end = _seconds(asked, "start"), _seconds(asked, "end")
    if start >= end:
        raise BadQuery(f"http parameter start must be before end. received start={start} end={end}")
    if end - start > LONGEST_S:
        raise BadQuery(
            f"range specified by start and end exceeds 168h0m0s. received start={start} end={end}"
        )
    return start * 10**9, end * 10**9


def _seconds(asked: Mapping[str, str], name: str) -> int:
    text = asked.get(name, "0")
    if not re.fullmatch(r"\d{1,10}", text):
        raise BadQuery(f'invalid {name}: strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _limit(asked: Mapping[str, str]) -> int:
    text = asked.get("limit", "20")
    if not text.isdigit():
        raise BadQuery(f'invalid limit: strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) == 0:
        raise BadQuery("invalid limit: must be a positive number")
    if int(text) > MOST_TRACES:
        raise BadQuery(f"limit {text} exceeds max limit {MOST_TRACES}")
    return int(text)


def _json(value: Any) -> Answer:
    return Answer(200, json.dumps(value, separators=(",", ":")).encode())


def _text(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), "text/plain; charset=utf-8")
