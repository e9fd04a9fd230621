"""A span as OTLP writes it: everything of fixed length in one `pack`, the rest cached or joined."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceState

from why504.probe.lean.wire import Attributes, block, text, varint

_KIND: Final = {kind: bytes((0x30, kind.value + 1)) for kind in SpanKind}
_NAMES_KEPT: Final = 2048
UNSET: Final = b"\x7a\x00"
"""The status of a span that says nothing of how it went."""
_LOCAL: Final = 0x100
"""Flags: the sender knows whether the parent is of another process, and it is not."""
_REMOTE: Final = 0x300

# trace id, span id, start, end, flags; without and with the parent's id.
_root: Final = struct.Struct("<2s16s2s8scQcQ2sI").pack
_child: Final = struct.Struct("<2s16s2s8s2s8scQcQ2sI").pack
_event_attributes: Final = Attributes(b"\x1a")
_link_attributes: Final = Attributes(b"\x22")
_fixed64: Final = struct.Struct("<Q").pack
_fixed32: Final = struct.Struct("<I").pack


def encode_span(  # noqa: PLR0913, PLR0917 a span's fields
    name: str,
    kind: SpanKind,
    trace_id: int,
    span_id: int,
    parent: SpanContext | None,
    start: int,
    end: int,
    attributes: bytes,
    rest: bytes = UNSET,
) -> bytes:
    """Return a span as a member of `ScopeSpans.spans`.

    Args:
        name: what it is called.
        kind: whether it was asked for by somebody else, asks somebody else, or neither.
        trace_id: of the trace.
        span_id: of the span.
        parent: the span that it is a part of, if it is of any.
        start: when it began, Unix ns.
        end: when it ended, Unix ns.
        attributes: from `encode_attributes`.
        rest: its status and whatever few spans have, from the functions below.
    """
    if parent is None:
        head = _root(
            b"\x0a\x10", trace_id.to_bytes(16), b"\x12\x08", span_id.to_bytes(8),
            b"\x39", start, b"\x41", end, b"\x85\x01", _LOCAL,
        )  # fmt: skip
    else:
        # A SpanContext is a tuple, and read as one here: each name of it is a call.
        head = _child(
            b"\x0a\x10", trace_id.to_bytes(16), b"\x12\x08", span_id.to_bytes(8),
            b"\x22\x08", parent[1].to_bytes(8), b"\x39", start, b"\x41", end,
            b"\x85\x01", _REMOTE if parent[2] else _LOCAL,
        )  # fmt: skip
    # By identity: the hash of an enumeration's member is computed in Python.
    named = _NAMED.get((name, id(kind))) or _named(name, kind)
    body = head + named + attributes + rest
    length = len(body)
    return (_BEGINS.get(length) or _begins(length)) + body


_BEGINS: Final[dict[int, bytes]] = {}
"""What stands before a span, by its length; most spans of a service are of few lengths."""
_MOST_BEGINS: Final = 4096


def _begins(length: int) -> bytes:
    begins = b"\x12" + varint(length)
    if len(_BEGINS) < _MOST_BEGINS:
        _BEGINS[length] = begins
    return begins


_NAMED: Final[dict[tuple[str, int], bytes]] = {}
"""Names and kinds of spans, encoded."""


def _named(name: str, kind: SpanKind) -> bytes:
    if len(_NAMED) >= _NAMES_KEPT:
        _NAMED.clear()
    _NAMED[name, id(kind)] = named = (text(b"\x2a", name) if name else b"") + _KIND[kind]
    return named


@lru_cache(maxsize=_NAMES_KEPT)
def encode_status(code: StatusCode, description: str | None) -> bytes:
    """Return how it went."""
    told = text(b"\x12", description) if description else b""
    if code is not StatusCode.UNSET:
        told += b"\x18" + varint(code.value)
    return block(b"\x7a", told)


def encode_state(state: TraceState) -> bytes:
    """Return what other tracers have to say of the trace."""
    return text(b"\x1a", ",".join(f"{key}={value}" for key, value in state.items()))


def encode_rest(
    events: Sequence[Event], links: Sequence[Link], dropped: tuple[int, int, int]
) -> bytes:
    """Return events, links, and how many attributes, events and links had no room."""
    counts = zip((b"\x50", b"\x60", b"\x70"), dropped, strict=True)
    return b"".join(
        (
            *(block(b"\x5a", _event(event)) for event in events),
            *(block(b"\x6a", _link(link)) for link in links),
            *(tag + varint(count) for tag, count in counts if count),
        )
    )


@lru_cache(maxsize=64)
def encode_scope(scope: InstrumentationScope | None) -> tuple[bytes, bytes]:
    """Return what stands before the spans of a scope, and what stands after them."""
    if scope is None:
        return b"\x0a\x00", b""
    told = text(b"\x0a", scope.name)
    if scope.version:
        told += text(b"\x12", scope.version)
    told += Attributes(b"\x1a").encode(scope.attributes or {})
    after = text(b"\x1a", scope.schema_url) if scope.schema_url else b""
    return block(b"\x0a", told), after


def encode_resource(resource: Resource) -> tuple[bytes, bytes]:
    """Return what stands before the scopes of a resource, and what stands after them."""
    told = block(b"\x0a", Attributes(b"\x0a").encode(resource.attributes))
    return told, text(b"\x1a", resource.schema_url) if resource.schema_url else b""


def _event(event: Event) -> bytes:
    told = b"\x09" + _fixed64(event.timestamp) if event.timestamp else b""
    if event.name:
        told += text(b"\x12", event.name)
    told += _event_attributes.encode(event.attributes or {})
    if event.dropped_attributes:
        told += b"\x20" + varint(event.dropped_attributes)
    return told


def _link(link: Link) -> bytes:
    context = link.context
    flags = _REMOTE if context.is_remote else _LOCAL
    told = block(b"\x0a", context.trace_id.to_bytes(16)) + block(
        b"\x12", context.span_id.to_bytes(8)
    )
    told += _link_attributes.encode(link.attributes or {})
    if link.dropped_attributes:
        told += b"\x28" + varint(link.dropped_attributes)
    return told + b"\x35" + _fixed32(flags)
