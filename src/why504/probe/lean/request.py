"""Encoded spans joined to one `ExportTraceServiceRequest`, and packed where that pays."""

from __future__ import annotations

import gzip
from collections.abc import Collection
from typing import Final, NamedTuple

from opentelemetry.sdk.resources import Resource

from why504 import names
from why504.probe.lean.spanwire import encode_resource
from why504.probe.lean.wire import varint

Scope = tuple[bytes, bytes]
"""What stands before and after the spans of an instrumentation scope, from `encode_scope`."""
Entry = tuple[Scope, bytes]
"""A span and its scope, both encoded."""


_STACK: Final = names.CODE_STACKTRACE.encode()
ONE_IN: Final = 8
"""If so many spans of a request tell a stack, it is packed: stacks are told again and again, and
are a tenth then. To pack ordinary spans costs a good part of what making them does."""
_LEVEL: Final = 6
"""Of gzip. What is packed is told rarely, and for hours: its size counts, not the milliseconds."""


class Request(NamedTuple):
    """What is sent at once."""

    spans: int
    body: bytes
    encoding: str = ""
    """As `Content-Encoding` has it; empty for none."""


def packed(entries: Collection[Entry], resource: Resource, compression: str = "") -> Request:
    """Return a request as it is sent.

    Args:
        entries: the spans, at least one.
        resource: who speaks.
        compression: `gzip`, `none`, or empty: whatever pays.
    """
    body = request_of(entries, resource)
    if not compression and body.count(_STACK) * ONE_IN >= len(entries):
        compression = "gzip"
    if compression == "gzip":
        return Request(len(entries), gzip.compress(body, _LEVEL), "gzip")
    return Request(len(entries), body)


def request_of(entries: Collection[Entry], resource: Resource) -> bytes:
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
