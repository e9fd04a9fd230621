"""A stand-in for Grafana Tempo: `python -m lab.standins.tempo --port 3200`.

Takes OTLP and answers what the engine asks, as recordings of Tempo 3.0.3 have it, traps included:
parts of a trace that came apart are searched apart, `limit` gives any traces unless `most_recent`
is asked for, ids in search results have no leading zeros, those of whole traces are base64, a
search lags behind. `/_control` changes its behaviour while it runs. The queries are traceql.py's.
"""

from __future__ import annotations

import gzip
import zlib

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lab.standins.control import Behaviour, control, serve, waited
from lab.standins.tempoindex import Answer, Tempo


class TempoBehaviour(Behaviour):
    """How the server behaves."""

    lag_s: float = Field(default=30.0, ge=0, le=3600)
    """What is younger no search finds."""
    busy: int = Field(default=0, ge=0)
    """So many requests are answered with 429."""


def build_app(tempo: Tempo | None = None) -> Starlette:
    """Return the stand-in as an ASGI application."""
    app = Starlette(
        routes=[
            Route("/v1/traces", take, methods=["POST"]),
            Route("/_control", control, methods=["GET", "PUT"]),
            Route("/ready", ready),
            Route("/{path:path}", ask),
        ]
    )
    app.state.behaviour = TempoBehaviour()
    app.state.tempo = tempo or Tempo()
    return app


async def take(request: Request) -> Response:
    """`POST /v1/traces`, in protobuf."""
    body = await request.body()
    await waited(request.app.state.behaviour)
    if request.headers.get("content-type") != "application/x-protobuf":
        return Response("unsupported media type", 415, media_type="text/plain")
    try:
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request.app.state.tempo.take(body)
    except (DecodeError, OSError, EOFError, zlib.error):
        return Response(b"", 400, media_type="application/x-protobuf")
    # An ExportTraceServiceResponse whose partial_success is present and empty.
    return Response(b"\x0a\x00", media_type="application/x-protobuf")


async def ready(request: Request) -> Response:
    """`GET /ready`."""
    del request
    return Response("ready\n", media_type="text/plain")


async def ask(request: Request) -> Response:
    """`GET` of anything else: the query API."""
    state = request.app.state
    await waited(state.behaviour)
    if state.behaviour.status:
        return Response("told to fail", state.behaviour.status, media_type="text/plain")
    state.tempo.lag_s = state.behaviour.lag_s
    state.tempo.busy, state.behaviour.busy = state.behaviour.busy, max(0, state.behaviour.busy - 1)
    query = f"?{request.url.query}" if request.url.query else ""
    told: Answer = state.tempo.answer(request.url.path + query, request.headers)
    return Response(told.body, told.status, dict(told.headers), told.content_type)


if __name__ == "__main__":
    serve(build_app(), __doc__)
