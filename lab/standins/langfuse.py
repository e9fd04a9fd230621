"""A stand-in for Langfuse: `python -m lab.standins.langfuse --port 8083`.

Takes what the real SDK sends, with Basic authentication: OTLP spans, protobuf, gzip or plain
(langfuse.com/integrations/native/opentelemetry), and lists of scores (`POST /api/public/scores` in
api.reference.langfuse.com: 202, or 207 with what is wrong with some). `/_seen` returns both,
`/_control` changes its behaviour while it runs.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.standins.control import Behaviour, control, serve, waited


def build_app() -> Starlette:
    """Return the stand-in as an ASGI application."""
    app = Starlette(
        routes=[
            Route("/api/public/otel/v1/traces", take, methods=["POST"]),
            Route("/api/public/scores", take_scores, methods=["POST"]),
            Route("/_control", control, methods=["GET", "PUT"]),
            Route("/_seen", seen, methods=["GET"]),
        ]
    )
    app.state.behaviour = Behaviour()
    app.state.spans = []
    app.state.scores = []
    return app


async def take(request: Request) -> Response:
    """`POST /api/public/otel/v1/traces`."""
    state = request.app.state
    body = await request.body()
    await waited(state.behaviour)
    if state.behaviour.status:
        return _problem(state.behaviour.status, "told to fail")
    if not _authenticated(request.headers.get("authorization", "")):
        return _problem(401, "Invalid credentials")
    if request.headers.get("content-type") != "application/x-protobuf":
        return _problem(400, "Invalid content type")
    try:
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        state.spans += _spans(ExportTraceServiceRequest.FromString(body))
    except (DecodeError, OSError, EOFError, zlib.error) as error:
        return _problem(400, str(error))
    return JSONResponse({"partialSuccess": {}})


async def take_scores(request: Request) -> Response:
    """`POST /api/public/scores`, of a list as the SDK sends it."""
    state = request.app.state
    await waited(state.behaviour)
    if state.behaviour.status:
        return _problem(state.behaviour.status, "told to fail")
    if not _authenticated(request.headers.get("authorization", "")):
        return _problem(401, "Invalid credentials")
    try:
        told = json.loads(await request.body())
    except ValueError as error:
        return _problem(400, str(error))
    if not isinstance(told, list):
        return _problem(400, "Expected array")
    wrong = [problem for one in told if (problem := _wrong_with(one))]
    state.scores += [one for one in told if not _wrong_with(one)]
    if wrong:
        errors = [{"status": 400, "message": problem} for problem in wrong]
        counts = {"accepted": len(told) - len(wrong), "rejected": len(wrong)}
        return JSONResponse({**counts, "errors": errors}, status_code=207)
    return JSONResponse({"message": "Accepted"}, status_code=202)


def _wrong_with(score: Any) -> str:
    """Return what Langfuse would refuse in a score; empty if nothing."""
    if not isinstance(score, dict) or not isinstance(score.get("name"), str):
        return "name: Required"
    value = score.get("value")
    if not isinstance(value, int | float | str):
        return "value: Required"
    if score.get("dataType") == "BOOLEAN" and value not in (0, 1):
        return "value: must equal either 1 or 0"
    return "" if score.get("traceId") or score.get("sessionId") else "traceId: Required"


async def seen(request: Request) -> Response:
    """`GET /_seen`: the spans and the scores taken so far, in order."""
    state = request.app.state
    return JSONResponse({"spans": state.spans, "scores": state.scores})


def _authenticated(header: str) -> bool:
    try:
        pair = base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    public_key, _, secret_key = pair.partition(":")
    return bool(public_key and secret_key)


def _spans(export: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    return [
        _plain(span)
        for resource in export.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _plain(span: Span) -> dict[str, Any]:
    return {
        "name": span.name,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "start_ns": span.start_time_unix_nano,
        "end_ns": span.end_time_unix_nano,
        "attributes": {
            pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
            for pair in span.attributes
            if pair.value.WhichOneof("value") not in ("array_value", "kvlist_value")
        },
    }


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status_code=status)


if __name__ == "__main__":
    serve(build_app(), __doc__)
