"""Stock OpenTelemetry beside the probe, in the same process and run: what would it have seen?

ASGI middleware, SQLAlchemy instrumentor, BatchSpanProcessor and OTLP exporter as their manuals
show them, with a provider and a store of their own. The only deviation: its spans are not the
*current* ones where our code runs, or ours would become their children. That changes parents of
its statements, not the number of its spans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, Tracer
from opentelemetry.trace import TracerProvider as AnyProvider
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EXPORT_EVERY_MS = 1000
"""A fifth of the SDK's default, in its favour: what ended must not be lost by the restart."""


def stock_provider(endpoint: str) -> AnyProvider:
    """Return the provider of the stock set-up, exporting to the base URL `endpoint`."""
    provider = TracerProvider(resource=Resource.create({"service.name": "stock"}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_EVERY_MS))
    return Beside(provider)


def instrument_sqlalchemy(provider: AnyProvider) -> None:
    """Trace engines that are made from now on: SQLAlchemy's functions must not be imported yet."""
    SQLAlchemyInstrumentor().instrument(tracer_provider=provider)


def instrument_asgi(app: ASGIApp, provider: AnyProvider) -> ASGIApp:
    """Return the application inside the stock middleware, its spans out of the way."""

    async def as_if_alone(scope: Scope, receive: Receive, send: Send) -> None:
        theirs = context.get_current()

        async def stock_receive() -> Message:
            with _in_context(theirs):
                return await receive()

        async def stock_send(message: Message) -> None:
            with _in_context(theirs):
                await send(message)

        with _in_context(Context()):
            await app(scope, stock_receive, stock_send)

    outside: ASGIApp = OpenTelemetryMiddleware(as_if_alone, tracer_provider=provider)
    return outside


@contextmanager
def _in_context(chosen: Context) -> Iterator[None]:
    token = context.attach(chosen)
    try:
        yield
    finally:
        context.detach(token)


class Beside(AnyProvider):
    """A provider whose spans are recorded like any other, but never become current."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        """Return a tracer of that kind."""
        return _BesideTracer(self._provider.get_tracer(*args, **kwargs))


class _BesideTracer(Tracer):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *args: Any, **kwargs: Any) -> Span:
        """Start a span."""
        return self._tracer.start_span(*args, **kwargs)

    @contextmanager
    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Iterator[Span]:  # type: ignore[override]
        """Record a span for as long as the block lasts."""
        with self._tracer.start_span(*args, **_without_scope(kwargs)) as span:
            yield span


def _without_scope(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name != "end_on_exit"}
