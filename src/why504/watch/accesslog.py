"""One line of the gateway's JSON access log, as otel/nginx.conf.template writes it.

Lines come from outside: whatever a client can put into a log must never be fatal here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PATH_LIMIT: Final = 1024
"""Characters of a path that are kept; also bounds one batch of spans."""
METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}
)

_SEPARATORS = re.compile(r", | : ")
"""After a retry nginx writes `a, b`, after an internal redirect `a : b`."""
_IDS = {digits: re.compile(rf"(?!0+$)[0-9a-f]{{{digits}}}") for digits in (16, 32)}
_LATEST_S: Final = 9e9
"""Later times do not fit into 64 bits of nanoseconds."""


@dataclass(frozen=True, slots=True)
class GatewayLine:
    """What nginx knows about one request. Times in Unix ns, of millisecond resolution."""

    trace_id: str
    span_id: str
    """Id that was sent upstream: the parent of the application's server span."""
    parent_id: str | None
    """Span of the client, if it sent a valid traceparent."""
    start_ns: int
    end_ns: int
    method: str
    """Empty when the request was so broken that nginx did not read one."""
    path: str
    """Without the query string, at most 1,024 characters."""
    status: int
    server_address: str
    server_port: int | None
    attempts: int
    """How many upstreams were tried; 0 when none was."""
    upstream_address: str
    """The last one tried, or empty."""
    upstream_status: int | None
    """What the last one answered, or what nginx made of its silence; None after an abort."""
    upstream_connect_s: float | None
    """Time to connect to the last one; None when that failed."""
    upstream_header_s: float | None
    """Time to the last one's first byte; None when it never came: nginx itself made the answer."""


def parse_line(line: bytes) -> GatewayLine | None:
    """Return what a line says, or None if it is not a line of our access log."""
    try:
        fields = json.loads(line.decode("utf-8", "replace"))
        if not isinstance(fields, dict):
            return None
        end_s = _number(fields["ts"])
        took_s = _number(fields["request_time"])
        if not 0 < end_s < _LATEST_S or not 0 <= took_s <= end_s:
            return None
        return _line(fields, round(end_s * 1000), round(took_s * 1000))
    except (KeyError, ValueError, OverflowError, RecursionError):
        return None


def written_s(line: bytes) -> float | None:
    """Return the time at which a line was written, or None if it is not ours."""
    parsed = parse_line(line)
    return None if parsed is None else parsed.end_ns / 1e9


def _line(fields: Mapping[str, object], end_ms: int, took_ms: int) -> GatewayLine:
    addresses = [one for one in _list(fields, "upstream_addr") if ":" in one]
    # Without a colon it is the name of a group of which no server was tried.
    return GatewayLine(
        trace_id=_id(fields["trace_id"], 32),
        span_id=_id(fields["span_id"], 16),
        parent_id=_id(parent, 16) if (parent := fields.get("parent_span_id")) else None,
        start_ns=(end_ms - took_ms) * 1_000_000,
        end_ns=end_ms * 1_000_000,
        method=_text(fields, "method")[:16],
        path=_text(fields, "uri").partition("?")[0][:PATH_LIMIT],
        status=_status(fields["status"]),
        server_address=_text(fields, "server_addr")[:64],
        server_port=int(port) if (port := _text(fields, "server_port")[:5]).isdecimal() else None,
        attempts=len(addresses),
        upstream_address=addresses[-1][:256] if addresses else "",
        upstream_status=None if (code := _last(fields, "upstream_status")) is None else int(code),
        upstream_connect_s=_last(fields, "upstream_connect_time"),
        upstream_header_s=_last(fields, "upstream_header_time"),
    )


def _list(fields: Mapping[str, object], name: str) -> list[str]:
    text = _text(fields, name)
    return _SEPARATORS.split(text) if text else []


def _last(fields: Mapping[str, object], name: str) -> float | None:
    """Return the last number of a list; None where nginx had no value."""
    try:
        return _number(_list(fields, name)[-1])
    except (IndexError, ValueError):
        return None


def _text(fields: Mapping[str, object], name: str) -> str:
    """Return a text that can be sent: JSON may hold halves of surrogate pairs, UTF-8 may not."""
    value = fields.get(name)
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _number(value: object) -> float:
    if isinstance(value, str | int | float) and math.isfinite(number := float(value)):
        return number
    raise ValueError


def _status(value: object) -> int:
    status = _number(value)
    if not 0 <= status < 1000:
        raise ValueError
    return int(status)


def _id(value: object, digits: int) -> str:
    if isinstance(value, str) and _IDS[digits].fullmatch(value):
        return value
    raise ValueError


_ID_SEGMENT = re.compile(
    r"\d+"  # 42
    r"|(?=.*\d)[0-9a-fA-F]{8,}"  # 5f3a9c01, ids of 16 and 32 digits
    r"|(?=.*\d)(?=.*-).*"  # u-12, UUIDs
    r"|(?=.*\d).{32,}"  # tokens
)
_SEGMENT_LIMIT: Final = 12
_NAME_LIMIT: Final = 120


def span_name(method: str, path: str) -> str:
    """Return `GET /v1/friendship_status/{id}`: a name that few requests differ in.

    nginx does not know the application's routes, so a path segment that looks like an id becomes
    `{id}`: digits only; 8 or more hex digits with a decimal one among them; a digit and a hyphen;
    or 32 and more characters with a digit. A method that is not HTTP's own is named `HTTP`.
    """
    if method not in METHODS:
        return "HTTP"
    segments = path.split("/", _SEGMENT_LIMIT)[:_SEGMENT_LIMIT]
    named = "/".join("{id}" if _ID_SEGMENT.fullmatch(part) else part for part in segments)
    return f"{method} {named}"[:_NAME_LIMIT]
