"""OTLP over HTTP as a plain ASGI application: no framework between the socket and the decoder.

Source: OTLP specification 1.x, "OTLP/HTTP Response". A request of which some spans are invalid is a
partial success, so that one bad span does not cost its neighbours; if all are, it is a 400.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.json_format import MessageToJson  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from why504.errors import NotOtlp, StoreUnavailable, TooLarge
from why504.receive.body import protobuf_from_json, unpacked
from why504.receive.decode import Decoder
from why504.receive.metrics import Received
from why504.receive.spool import Spool

log = logging.getLogger(__name__)

BODY_LIMIT: Final = 16 * 2**20
"""Bytes of a request, packed and unpacked."""
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class _Parts:
    spool: Spool
    decoder: Decoder
    received: Received
    body_limit: int


def create_app(
    spool: Spool, *, registry: CollectorRegistry | None = None, body_limit: int = BODY_LIMIT
) -> App:
    """Return the receiver: `POST /v1/traces` into `spool`, `GET /healthz` and `/metrics`.

    Args:
        registry: what `/metrics` serves; gets what the receiver counts.
    """
    registry = registry or CollectorRegistry()
    parts = _Parts(spool, Decoder(), Received(registry), body_limit)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        route = _ROUTES.get(scope["path"])
        if route is None:
            answer = _Answer(404, b"only traces are received here, at POST /v1/traces\n")
        elif scope["method"] != route:
            answer = _Answer(405, b"use " + route.encode() + b"\n", headers=_allow(route))
        elif scope["path"] == "/metrics":
            answer = _metrics(scope, registry)
        elif route == "GET":
            answer = _health(spool)
        else:
            answer = await _export(scope, receive, parts)
        await _send(send, answer)

    return app


def _metrics(scope: Scope, registry: CollectorRegistry) -> _Answer:
    # Only in OpenMetrics, which Prometheus asks for, is there room for exemplars.
    accept = next((value for name, value in scope["headers"] if name.lower() == b"accept"), b"")
    encode, content_type = choose_encoder(accept.decode("latin-1"))
    return _Answer(200, encode(registry), content_type)


_ROUTES: Final = {"/v1/traces": "POST", "/healthz": "GET", "/metrics": "GET"}


_REFUSALS: Final = {NotOtlp: (400, 3), TooLarge: (413, 8), StoreUnavailable: (503, 14)}
"""Status of HTTP, code of gRPC."""


async def _export(scope: Scope, receive: Receive, parts: _Parts) -> _Answer:
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    content_type = headers.get(b"content-type", "").split(";")[0].strip().lower()
    if content_type not in (PROTOBUF, JSON):
        return _Answer(415, f"content-type must be {PROTOBUF} or {JSON}\n".encode())
    encoding = headers.get(b"content-encoding", "").strip().lower()
    try:
        body = await _read(receive, parts.body_limit)
        body = unpacked(body, encoding, parts.body_limit)
        if content_type == JSON:
            body = protobuf_from_json(body)
        batch = parts.decoder.decode(body)
        if len(batch):
            await asyncio.wrap_future(parts.spool.add(body, batch))
    except (NotOtlp, TooLarge, StoreUnavailable) as error:
        parts.received.refused(error)
        return _refusal(*_REFUSALS[type(error)], str(error), content_type)
    parts.received.took(len(batch), batch.rejected)
    done = ExportTraceServiceResponse()
    if batch.rejected:
        done.partial_success.rejected_spans = batch.rejected
        done.partial_success.error_message = batch.reason
    return _Answer(200, _encoded(done, content_type), content_type)


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise NotOtlp("the client went away in the middle of its request")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"body is larger than {limit} bytes")
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def _health(spool: Spool) -> _Answer:
    if spool.failure:
        return _Answer(503, f"{spool.failure}\n".encode())
    return _Answer(200, b"ok\n")


def _refusal(status: int, code: int, reason: str, content_type: str) -> _Answer:
    body = _encoded(Status(code=code, message=reason), content_type)
    retry = ((b"retry-after", b"1"),) if status == 503 else ()
    return _Answer(status, body, content_type, retry)


def _encoded(message: ExportTraceServiceResponse | Status, content_type: str) -> bytes:
    if content_type == JSON:
        return str(MessageToJson(message, indent=None)).encode()
    return bytes(message.SerializeToString())


def _allow(method: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"allow", method.encode()),)


async def _send(send: Send, answer: _Answer) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
