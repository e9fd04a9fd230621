"""Requests of OTLP, as OpenTelemetry's own encoder makes them of trees of eight spans."""

from __future__ import annotations

import random
import time
from typing import Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

SPANS: Final = 512
"""A request; the default batch of OpenTelemetry's exporter."""
_TREE: Final = 8
_NAMES: Final = ("POST /v1/conversations/end", "SELECT", "INSERT", "chat", "publish", "score")
_SERVICE: Final = Resource({"service.name": "api", "service.instance.id": "api-1:4001"})


def request(numbers: random.Random, second: int, *, attributes: bool = True) -> bytes:
    """Return a request in protobuf; of five attributes a span one is new in every span."""
    spans = []
    # Of today: the receiver forgets what is older than a week.
    begin_ns = time.time_ns() - 3600 * 10**9
    for tree in range(SPANS // _TREE):
        trace_id, root = numbers.getrandbits(128) | 1, None
        start_ns = begin_ns + second * 10**9 + tree * 10**9 * _TREE // SPANS
        for place in range(_TREE):
            own = SpanContext(trace_id, numbers.getrandbits(64) | 1, False, TraceFlags(1))
            told = {
                "http.request.method": "POST",
                "http.route": numbers.choice(_NAMES),
                "server.port": 8000,
                "db.system.name": "postgresql",
                "user.id": f"u-{numbers.getrandbits(40)}",
            }
            begun_ns = start_ns + place * 1_000_000 + numbers.randrange(900_000)
            span = ReadableSpan(
                numbers.choice(_NAMES),
                own,
                root,
                _SERVICE,
                told if attributes else {},
                kind=SpanKind.CLIENT if root else SpanKind.SERVER,
                start_time=begun_ns,
                end_time=begun_ns + numbers.randrange(50_000_000),
            )
            root = root or own
            spans.append(span)
    return bytes(encode_spans(spans).SerializeToString())
