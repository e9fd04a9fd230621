"""Gateways that tell more than one span of a request: one is enough to know when it gave up.

Envoy, Traefik and others tell the request (server) and each call to the application (client) below
it; the application's span hangs under either. What a call adds, the application's span tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from why504 import names
from why504.model import Evidence, Span

Key = tuple[str, str]


def one_span_each(evidence: Evidence) -> Sequence[Span]:
    """Return the spans without a gateway's own below its request's; what hung there hangs there.

    Of gateways in a row each keeps its request.
    """
    told = {
        (span.trace_id, span.span_id): span
        for span in evidence.spans
        if span.service == names.GATEWAY_SERVICE
    }
    inner: dict[Key, str] = {
        key: span.parent_id
        for key, span in told.items()
        if span.kind != "server" and span.parent_id and (span.trace_id, span.parent_id) in told
    }
    if not inner:
        return evidence.spans
    return [
        replace(span, parent_id=_above(span, inner)) if _below(span, inner) else span
        for span in evidence.spans
        if (span.trace_id, span.span_id) not in inner
    ]


def _below(span: Span, inner: dict[Key, str]) -> bool:
    return (span.trace_id, span.parent_id or "") in inner


def _above(span: Span, inner: dict[Key, str]) -> str:
    """Return the nearest parent that is kept; a ring of parents is garbage, and is left at last."""
    parent = span.parent_id or ""
    for _ in range(len(inner) + 1):
        if (span.trace_id, parent) not in inner:
            break
        parent = inner[span.trace_id, parent]
    return parent
