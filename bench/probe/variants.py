"""What is put beside what: each variant instruments a service of its own in its own process.

What isn't installed is skipped; `make bench-probe` installs it. Peers are as their documentation
sets them up, with one exception: they send to a sink on this machine, as the probe does.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastapi import FastAPI

from bench.probe.service import application, database
from lab.faults import ROOT

PEERS: Final = ROOT / ".venv" / "peers"
"""Where peers.txt is installed; only a peer's own process looks there."""


class Place(NamedTuple):
    """Where a variant runs."""

    folder: Path
    """For its database."""
    sink: str
    """Base URL of the collector, under a path of the variant's own."""


class Running(NamedTuple):
    """A variant at work."""

    app: FastAPI
    drain: Callable[[], object]
    """Sends all that waits to be sent, and returns when it was."""
    probe: Any = None
    """Ours, where there is one."""


class Variant(NamedTuple):
    """One way to see into a service."""

    title: str
    start: Callable[[Place], Running]
    module: str = ""
    """Of a peer: has to be in `PEERS`."""

    def is_installed(self) -> bool:
        """Whether it can be measured here."""
        return not self.module or PathFinder.find_spec(self.module, [str(PEERS)]) is not None


def _nothing(place: Place) -> Running:
    return Running(application(database(place.folder)), lambda: None)


def _prometheus(place: Place) -> Running:
    from prometheus_fastapi_instrumentator import Instrumentator

    app = application(database(place.folder))
    Instrumentator().instrument(app).expose(app)
    return Running(app, lambda: None)


def _stock(place: Place, **options: Any) -> Running:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    drain = _sdk(place)
    running = _sqlalchemy(place, drain)
    FastAPIInstrumentor.instrument_app(running.app, **options)
    return running


def _stock_exclude(place: Place) -> Running:
    return _stock(place, exclude_spans=["send", "receive"])


def _native(place: Place) -> Running:
    # FastAPI traces by itself as soon as there is a provider; queries it leaves to others.
    return _sqlalchemy(place, _sdk(place))


def _sdk(place: Place) -> Callable[[], object]:
    """Set OpenTelemetry up as its documentation does; return what drains it."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "bench"}))
    exporter = OTLPSpanExporter(endpoint=f"{place.sink}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider.force_flush


def _sqlalchemy(place: Place, drain: Callable[[], object]) -> Running:
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    engine = database(place.folder)
    SQLAlchemyInstrumentor().instrument(engine=engine)
    return Running(application(engine), drain)


def _logfire(place: Place) -> Running:
    import logfire
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(endpoint=f"{place.sink}/v1/traces")
    logfire.configure(
        send_to_logfire=False,
        console=False,
        metrics=False,
        additional_span_processors=[BatchSpanProcessor(exporter)],
    )
    engine = database(place.folder)
    app = application(engine)
    logfire.instrument_fastapi(app)
    logfire.instrument_sqlalchemy(engine=engine)
    return Running(app, logfire.force_flush)


def _sentry(place: Place) -> Running:
    import sentry_sdk

    scheme, _, address = place.sink.partition("://")
    sentry_sdk.init(dsn=f"{scheme}://key@{address}/1", traces_sample_rate=1.0)
    return Running(application(database(place.folder)), lambda: sentry_sdk.flush(timeout=10))


def _why504(place: Place) -> Running:
    import why504
    from why504.config import ProbeSettings

    engine = database(place.folder)
    app = application(engine)
    probe = why504.instrument(app, engine=engine, settings=ProbeSettings(endpoint=place.sink))
    return Running(app, probe.flush, probe)


NOTHING: Final = "nothing"
AGAIN: Final = "nothing-again"
STOCK: Final = "opentelemetry"
LEAN_STOCK: Final = "opentelemetry-exclude"
OURS: Final = "why504"
VARIANTS: Final = {
    NOTHING: Variant("nothing", _nothing),
    AGAIN: Variant("nothing again: A/A", _nothing),
    "prometheus": Variant(
        "prometheus-fastapi-instrumentator", _prometheus, "prometheus_fastapi_instrumentator"
    ),
    STOCK: Variant("stock OpenTelemetry", _stock),
    LEAN_STOCK: Variant("... without send and receive spans", _stock_exclude),
    "native": Variant("FastAPI's native telemetry", _native),
    "logfire": Variant("Logfire", _logfire, "logfire"),
    "sentry": Variant("Sentry, traces 1.0", _sentry, "sentry_sdk"),
    OURS: Variant("why504, everything on", _why504),
}
