"""How a span that is open, or that sampling dropped, becomes a row on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe import site
from why504.probe.activity import Activity
from why504.probe.inflight import OpenSpan
from why504.probe.lean.http import LONGEST, URL_QUERY, url_without_secrets, without_secrets
from why504.probe.process import threadcpu
from why504.probe.telling.records import RecordSpan

_URLS: Final = frozenset({"url.full", "http.url", "http.target"})
"""Attributes of other instrumentation, which tells all that was asked for."""


def span_snapshot(
    entry: OpenSpan,
    span_id: int,
    now_s: float,
    *,
    activity: Activity,
    waits: Mapping[int, str],
) -> RecordSpan:
    """Return a span that has not ended, as far as it is known now, under an id of its own."""
    lines = activity.lines(entry.place, entry.trace_id)
    attributes: dict[str, AttributeValue] = dict(request_attributes(entry))
    live = (entry.attributes if entry.span is None else entry.span.attributes) or {}
    # One by one: the application may set one of them while they are read here.
    attributes.update((key, live.get(key)) for key in tuple(live))
    for key in _URLS.intersection(attributes):
        attributes[key] = url_without_secrets(str(attributes[key]))
    if URL_QUERY in attributes:
        attributes[URL_QUERY] = without_secrets(str(attributes[URL_QUERY]).encode())
    if entry.route():
        attributes[names.HTTP_ROUTE] = entry.route()
    attributes.update(site.attributes_of(site.user_line(lines)))
    if lines:
        attributes[names.CODE_STACKTRACE] = site.stack_text(lines)
    attributes.update(_of_the_worker(entry, now_s, activity.worker(entry.trace_id)))
    if entry.trace_id in waits:
        attributes[names.WAITING_ON] = waits[entry.trace_id]
    age_s = now_s - entry.opened_s
    parent_id = parent_of(entry)
    parent = "" if parent_id is None else trace.format_span_id(parent_id)
    attributes.update(
        {
            names.KIND: names.SNAPSHOT,
            names.KEEP: True,
            names.SNAPSHOT_OF: trace.format_span_id(entry.span_id),
            names.SNAPSHOT_SEQUENCE: 0 if entry.telling is None else entry.telling.sequence,
            names.SNAPSHOT_PARENT: parent,
            # An attribute, not the row's own kind: nobody may count a snapshot as a request.
            names.SNAPSHOT_KIND: entry.kind.name.lower(),
            names.INFLIGHT_AGE_S: round(age_s, 6),
        }
    )
    return RecordSpan(
        name=f"snapshot {span_name(entry)}",
        trace_id=entry.trace_id,
        span_id=span_id,
        parent_id=entry.span_id,
        start_ns=entry.start_ns,
        end_ns=entry.start_ns + max(0, int(age_s * 1e9)),
        attributes=attributes,
    )


def _of_the_worker(entry: OpenSpan, now_s: float, thread_id: int | None) -> dict[str, float]:
    """Return what its worker thread did since the entry was first told there, if known."""
    now = None if thread_id is None else threadcpu.read(thread_id, now_s)
    before = entry.worker_cpu
    if now is None or before is None or before.thread_id != now.thread_id:
        entry.worker_cpu = now
        return {}
    return now.shares_since(before)


def dropped_final(
    entry: OpenSpan, now_s: float, told: Mapping[str, AttributeValue], error: str | None
) -> RecordSpan:
    """Return the span of what sampling dropped and is over; `error` says how it failed."""
    attributes = {**request_attributes(entry), **told, names.KEEP: True}
    if entry.route():
        attributes[names.HTTP_ROUTE] = entry.route()
    return RecordSpan(
        name=span_name(entry),
        trace_id=entry.trace_id,
        span_id=entry.span_id,
        parent_id=parent_of(entry),
        start_ns=entry.start_ns,
        end_ns=entry.start_ns + max(0, int((now_s - entry.opened_s) * 1e9)),
        attributes=attributes,
        kind=entry.kind,
        error=error,
    )


def parent_of(entry: OpenSpan) -> int | None:
    """Return the id of the span's parent; for a request that is not sampled, from its headers."""
    if entry.span is not None or entry.scope is None:
        return entry.parent_id
    headers = {
        key.decode("latin-1"): value.decode("latin-1")
        for key, value in entry.scope.get("headers", ())
    }
    remote = trace.get_current_span(TraceContextTextMapPropagator().extract(headers))
    context = remote.get_span_context()
    return context.span_id if context.is_valid else None


def span_name(entry: OpenSpan) -> str:
    """Return the span's name now; a request is named after its route, as its span will be."""
    # That is how OpenTelemetry calls a websocket, which has no method.
    method = entry.method() or ("" if entry.scope is None else "HTTP")
    if entry.span is not None and entry.span.name != method:
        return entry.span.name
    return " ".join(part for part in (method, entry.route()) if part) or entry.name


def request_attributes(entry: OpenSpan) -> dict[str, AttributeValue]:
    """Return what the request itself says; a sampled span says the same and more."""
    if entry.scope is None:
        return {}
    path = str(entry.scope.get("path", ""))[:LONGEST]
    if not entry.is_request:
        return {names.URL_SCHEME: str(entry.scope.get("scheme", "ws")), names.URL_PATH: path}
    return {names.HTTP_METHOD: entry.method(), names.URL_PATH: path}
