"""Request bodies: unpacked within bounds, and JSON turned into the protobuf that the rest reads.

Source: OTLP specification 1.x, "OTLP/HTTP" and "JSON Protobuf Encoding".
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from why504.errors import NotOtlp, TooLarge

_ZLIB_WINDOWS: Final = {"gzip": 31, "deflate": 15}


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """Return `body` without its content encoding (`""`, identity, gzip or deflate).

    Raises:
        NotOtlp: the encoding is unknown, or the body is not what it says.
        TooLarge: more than `limit` bytes would come out.
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in _ZLIB_WINDOWS:
        raise NotOtlp(f"content-encoding {encoding!r} is unknown: use gzip, deflate or none")
    stream = zlib.decompressobj(_ZLIB_WINDOWS[encoding])
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise NotOtlp(f"content-encoding is {encoding}, the body is not: {error}") from error
    if len(plain) > limit:
        raise TooLarge(f"unpacked body is larger than {limit} bytes")
    if not stream.eof or stream.unused_data:
        raise NotOtlp(f"{encoding} body is cut off or followed by something else")
    return plain


def protobuf_from_json(body: bytes) -> bytes:
    """Return an OTLP/JSON request as protobuf: camelCase or snake_case, unknown fields ignored.

    An id that is not hex becomes empty, so that the decoder rejects that span alone.

    Raises:
        NotOtlp: not JSON, or a value of the wrong type.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotOtlp(f"not OTLP/JSON: {error}") from error
    if not isinstance(request, dict):
        raise NotOtlp("not OTLP/JSON: the body must be an object")
    return protobuf_from(request)


def protobuf_from(request: dict[str, Any]) -> bytes:
    """Return a request that was JSON as protobuf; changes it on the way.

    Raises:
        NotOtlp: a value of the wrong type.
    """
    try:
        for span in _spans(request):
            for key in _ID_KEYS & span.keys():
                span[key] = _base64_id(span[key])
            # Not stored, and their ids are hex too.
            span.pop("links", None)
        message = ParseDict(request, ExportTraceServiceRequest(), ignore_unknown_fields=True)
        return bytes(message.SerializeToString())
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NotOtlp(f"not OTLP/JSON: {error}") from error


_ID_KEYS: Final = {"traceId", "trace_id", "spanId", "span_id", "parentSpanId", "parent_span_id"}


def _spans(request: dict[str, Any]) -> list[dict[str, Any]]:
    level: list[Any] = [request]
    for step in (("resourceSpans", "resource_spans"), ("scopeSpans", "scope_spans"), ("spans",)):
        lists = [one.get(key) for one in level if isinstance(one, dict) for key in step]
        level = [one for told in lists if isinstance(told, list) for one in told]
    return [span for span in level if isinstance(span, dict)]


def _base64_id(told: Any) -> Any:
    try:
        return base64.b64encode(bytes.fromhex(told)).decode("ascii")
    except (TypeError, ValueError):
        return ""
