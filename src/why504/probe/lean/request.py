"""Encoded spans joined to one `ExportTraceServiceRequest`."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.sdk.resources import Resource

from why504.probe.lean.spanwire import encode_resource
from why504.probe.lean.wire import varint

Scope = tuple[bytes, bytes]
"""What stands before and after the spans of an instrumentation scope, from `encode_scope`."""
Entry = tuple[Scope, bytes]
"""A span and its scope, both encoded."""


def request_of(entries: Iterable[Entry], resource: Resource) -> bytes:
    """Return a request, its spans in their order within each scope."""
    scopes: dict[Scope, list[bytes]] = {}
    for scope, span in entries:
        known = scopes.get(scope)
        if known is None:
            scopes[scope] = [span]
        else:
            known.append(span)
    before, after = encode_resource(resource)
    told = [before]
    for (opening, closing), spans in scopes.items():
        length = len(opening) + sum(map(len, spans)) + len(closing)
        told += (b"\x12" + varint(length), opening, *spans, closing)
    told.append(after)
    return b"\x0a" + varint(sum(map(len, told))) + b"".join(told)
