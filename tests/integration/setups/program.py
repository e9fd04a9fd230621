"""Applications that have tracing of their own, each set up in a process of its own.

`python program.py NAME...` prints a line of JSON each: what their exporter got, what was logged.
The libraries are imported once; a fork for each costs less than an import.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import logfire
from fastapi import FastAPI
from langfuse import Langfuse
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import why504
from why504.config import ProbeSettings

NATIVE_OFF = {"tracing": False}
SETTINGS = ProbeSettings(endpoint="http://127.0.0.1:9", metrics_port=-1)


class Setup:
    """An application of somebody, and their exporter."""

    def __init__(self) -> None:
        self.theirs = InMemorySpanExporter()
        self.processor = SimpleSpanProcessor(self.theirs)
        self.at_start: Callable[[], object] = lambda: None

    def app(self, **telemetry: Any) -> FastAPI:
        @asynccontextmanager
        async def lifespan(_: FastAPI) -> Any:
            self.at_start()
            yield

        app = FastAPI(lifespan=lifespan, **telemetry)

        @app.get("/items/{number}")
        def item(number: int) -> int:
            with trace.get_tracer("their code").start_as_current_span("inner"):
                return number

        return app

    def set_provider(self) -> TracerProvider:
        provider = TracerProvider(resource=Resource({"service.name": "theirs"}))
        provider.add_span_processor(self.processor)
        trace.set_tracer_provider(provider)
        return provider

    def watch(self, app: Any) -> None:
        why504.instrument(app, settings=SETTINGS)

    def langfuse(self) -> None:
        Langfuse(public_key="pk", secret_key="sk", base_url="http://127.0.0.1:9")

    def logfire(self) -> None:
        logfire.configure(
            send_to_logfire=False,
            console=False,
            service_name="theirs",
            additional_span_processors=[self.processor],
        )


def provider_first(s: Setup) -> Any:
    s.set_provider()
    app = s.app()
    s.watch(app)
    return app


def provider_after(s: Setup) -> Any:
    app = s.app()
    s.watch(app)
    s.set_provider()
    return app


def provider_at_start(s: Setup) -> Any:
    app = s.app()
    s.at_start = s.set_provider
    s.watch(app)
    return app


def contrib_before(s: Setup) -> Any:
    s.set_provider()
    app = s.app()
    FastAPIInstrumentor.instrument_app(app)
    s.watch(app)
    return app


def contrib_after(s: Setup) -> Any:
    app = s.app()
    s.watch(app)
    s.set_provider()
    FastAPIInstrumentor.instrument_app(app)
    return app


def native_with_a_provider_of_its_own(s: Setup) -> Any:
    provider = TracerProvider()
    provider.add_span_processor(s.processor)
    app = s.app(telemetry={"tracer_provider": provider})
    s.watch(app)
    return app


def logfire_first(s: Setup) -> Any:
    s.logfire()
    app = s.app()
    logfire.instrument_fastapi(app)
    s.watch(app)
    return app


def logfire_after(s: Setup) -> Any:
    app = s.app()
    s.watch(app)
    s.logfire()
    logfire.instrument_fastapi(app)
    return app


def langfuse_first(s: Setup) -> Any:
    s.langfuse()
    trace.get_tracer_provider().add_span_processor(s.processor)  # type: ignore[attr-defined]
    app = s.app()
    s.watch(app)
    return app


def langfuse_after(s: Setup) -> Any:
    app = s.app()
    s.watch(app)
    s.langfuse()
    trace.get_tracer_provider().add_span_processor(s.processor)  # type: ignore[attr-defined]
    return app


def langfuse_in_a_request(s: Setup) -> Any:
    app = s.app()
    s.watch(app)

    @app.get("/ask/{number}")
    def ask(number: int) -> int:
        s.langfuse()
        trace.get_tracer_provider().add_span_processor(s.processor)  # type: ignore[attr-defined]
        return number

    with TestClient(app) as client:
        client.get("/ask/1")
    return app


def called_twice(s: Setup) -> Any:
    app = provider_first(s)
    s.watch(app)
    return app


def routes_after(s: Setup) -> Any:
    app = FastAPI()
    s.watch(app)
    s.set_provider()

    @app.get("/items/{number}")
    def item(number: int) -> int:
        with trace.get_tracer("their code").start_as_current_span("inner"):
            return number

    return app


def after_the_start(s: Setup) -> Any:
    s.set_provider()
    app = s.app(telemetry=NATIVE_OFF)
    with TestClient(app) as client:
        client.get("/items/1")
        s.theirs.clear()
        s.watch(app)
    return app


def starlette(s: Setup) -> Any:
    def item(request: Any) -> PlainTextResponse:
        with trace.get_tracer("their code").start_as_current_span("inner"):
            return PlainTextResponse("1")

    app = Starlette(routes=[Route("/items/{number}", item)])
    s.watch(app)
    s.set_provider()
    return app


def plain_asgi(s: Setup) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        with trace.get_tracer("their code").start_as_current_span("inner"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1"})

    wrapped = why504.asgi(app, settings=SETTINGS)
    assert why504.asgi(wrapped) is wrapped
    s.set_provider()
    return wrapped


SETUPS = {
    function.__name__: function
    for function in (
        provider_first, provider_after, provider_at_start, contrib_before, contrib_after,
        native_with_a_provider_of_its_own, logfire_first, logfire_after, langfuse_first,
        langfuse_after, langfuse_in_a_request, called_twice, routes_after, after_the_start,
        starlette, plain_asgi,
    )
}  # fmt: skip


class Kept(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{record.name}: {record.getMessage()}")


def outcome(setup: Callable[[Setup], Any]) -> dict[str, Any]:
    """Return what one application's exporter got of one request."""
    kept = Kept()
    logging.getLogger().addHandler(kept)
    s = Setup()
    app = setup(s)
    starts = setup is not plain_asgi
    with TestClient(app) if starts else _plain(app) as client:
        client.get("/items/7?token=secret")
    spans = list(_final(s.theirs))
    servers = [span for span in spans if span.kind is SpanKind.SERVER]
    inner = [span for span in spans if span.name == "inner"]
    return {
        "servers": [[span.name, (span.attributes or {}).get("http.route")] for span in servers],
        "inner": [bool(span.parent) for span in inner],
        "traces": len({span.context.trace_id for span in [*servers, *inner]}),
        "said": kept.said,
    }


def _final(exporter: InMemorySpanExporter) -> Iterator[Any]:
    for span in exporter.get_finished_spans():
        if (span.attributes or {}).get("logfire.span_type") != "pending_span":
            yield span


def _plain(app: Any) -> Any:
    import contextlib

    return contextlib.nullcontext(TestClient(app))


def main(chosen: list[str]) -> None:
    """Play each in a process of its own."""
    for name in chosen or list(SETUPS):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                told = outcome(SETUPS[name])
            except BaseException:
                told = {"raised": traceback.format_exc()}
            os.write(writing, json.dumps({"name": name, **told}).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as said:
            print(said.read(), flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
