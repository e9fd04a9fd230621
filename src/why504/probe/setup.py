"""`instrument(app, engine=...)`: the one place that wires the probe into an application."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import why504
from why504 import names
from why504.config import ProbeSettings
from why504.probe.activity import Activity
from why504.probe.alerting import LOOK_S as ALERTS_S
from why504.probe.alerting import Alerting, Readings, post_to
from why504.probe.apphooks import AppHooks
from why504.probe.calls import Calls
from why504.probe.clock import Clock
from why504.probe.dropped import Dropped
from why504.probe.engines import Engines
from why504.probe.garbage import Collections
from why504.probe.inflight import Registry, RegistryProcessor
from why504.probe.kit import Kit, Pools
from why504.probe.libraries import Libraries
from why504.probe.limits import Limits, sync_engine
from why504.probe.metrics import Metrics, Together
from why504.probe.namedwatch import NamedWatch
from why504.probe.openrecord import RecordBook
from why504.probe.publisher import POLL_S as PUBLISH_S
from why504.probe.publisher import Publisher, run_forever
from why504.probe.records import Export, RecordSender, random_ids
from why504.probe.requests import RequestWatch
from why504.probe.safety import Guard
from why504.probe.serve import Server
from why504.probe.stall import POLL_S as LOOK_S
from why504.probe.stall import Watchdog
from why504.probe.state import State, StateCollector
from why504.probe.telling import Rhythm
from why504.probe.tracing import OwnExport, OwnProvider, provider
from why504.probe.unnamedwatch import UnnamedWatch
from why504.probe.vitals import LOOK_S as VITALS_S
from why504.probe.vitals import VitalsWatch

if TYPE_CHECKING:
    from fastapi import FastAPI
    from prometheus_client import CollectorRegistry
    from sqlalchemy.engine import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

_PROBE: Final = "_why504_probe"


def instrument(
    app: FastAPI | None,
    *,
    engine: Engine | AsyncEngine | Mapping[str, Engine | AsyncEngine] | None = None,
    metrics: CollectorRegistry | None = None,
    limits: Mapping[str, object] | None = None,
    settings: ProbeSettings | None = None,
) -> Probe:
    """Watch an application: spans, pool waits and holds, loop stalls, what is in flight.

    Args:
        app: the application; call this before it serves. None in a program that serves no HTTP,
            such as a worker: call this in a task of its loop, if it has one.
        engine: its SQLAlchemy engine, sync or async (its pool is told as `main`), or several by
            the names their pools are to have.
        metrics: the application's own Prometheus metrics, served beside the probe's by a thread
            that answers while the loop is blocked; prometheus_client's default when omitted.
        limits: the application's own timeouts, for `why504 doctor`: seconds, None for no limit at
            all, or a client that has them, by the names of docs/doctor.md or names of your own.
        settings: read from the environment (`WHY504_*`) when omitted.

    Returns:
        The application's probe, the same one however often this is called.

    Raises:
        ConfigError: a `WHY504_*` setting or a limit makes no sense.
    """
    known: Probe | None = getattr(app, _PROBE, None)
    if known is not None:
        return known
    engines = engine if isinstance(engine, Mapping) else {} if engine is None else {"main": engine}
    sync = {name: sync_engine(one) for name, one in engines.items()}
    settings = settings or ProbeSettings.from_env()
    probe = Probe(app, sync, settings, theirs=metrics, limits=limits or {})
    if app is None:
        probe.watch_here()
    else:
        setattr(app, _PROBE, probe)
    return probe


class Probe:
    """Everything that watches one application; its threads start in the process that serves."""

    def __init__(
        self,
        app: FastAPI | None,
        engines: Mapping[str, Engine],
        settings: ProbeSettings,
        *,
        theirs: CollectorRegistry | None,
        limits: Mapping[str, object],
    ) -> None:
        self._app = app
        self._theirs = theirs
        self._settings = settings
        self._clock = clock = Clock()
        self._guard = guard = Guard()
        self._limits = Limits(engines, limits, guard)
        self.registry = Registry(clock, settings.inflight_limit)
        self.metrics = Metrics()
        self._provider = provider()
        self._attach_tracing()
        self.sender = RecordSender(
            settings.endpoint, self._provider.resource, on_failure=self._lost
        )
        self._dropped = Dropped(self.sender, clock, settings.snapshot_after_s)
        tracer = self._provider.get_tracer("why504", why504.__version__)
        calls = Calls(tracer, self.registry, self._dropped)
        self.book = RecordBook(clock, random_ids(), self.sender)
        self._collections = Collections()
        self.watchdog = Watchdog(
            self.registry,
            self.book,
            self.metrics,
            self._collections,
            clock=clock,
            stall_after_s=settings.stall_after_s,
        )
        self._engines = Engines(
            engines,
            self.book,
            registry=self.registry,
            metrics=self.metrics,
            hold_after_s=settings.hold_after_s,
        )
        self.pools = Pools(self._engines.pools)
        self._engines.attach(guard, calls)
        self._limits.attach()
        self._libraries = Libraries(
            Kit(
                self.registry,
                self.book,
                guard,
                calls,
                self.metrics,
                self._limits,
                self.pools,
                settings.hold_after_s,
            )
        )
        # Before anything is served: who begins to wait at start-up is told as well.
        self._libraries.attach()
        self._named = NamedWatch(
            self.book, self.registry, guard, hold_after_s=settings.hold_after_s
        )
        self._unnamed = UnnamedWatch(self.book, self.registry, self.watchdog.places, guard)
        self._hooks = None if app is None else self._hooked(app)
        self._start_lock = threading.Lock()
        self._started_pid = 0
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server: Server | None = None
        self._alerting: Alerting | None = None
        # What is queued at exit leaves still; the provider's own exit hook knows spans only.
        atexit.register(self.shutdown)

    @property
    def port(self) -> int:
        """Port of /metrics and /debug/requests; -1 when there is none."""
        self.start()
        return -1 if self._server is None else self._server.port

    def start(self) -> None:
        """Start the threads in this process; the first request does it, after any fork."""
        if self._started_pid == os.getpid():
            return
        with self._start_lock:
            if self._started_pid == os.getpid():
                return
            if self._started_pid:
                self._after_fork()
            self._started_pid = os.getpid()
            self._libraries.attach()
            self._named.attach()
            publisher = Publisher(
                self.registry,
                self.book,
                rhythm=Rhythm(
                    self._settings.snapshot_after_s,
                    self._settings.snapshot_longest_s,
                ),
                look=lambda: Activity(self.registry, self.watchdog.places()),
                guard=self._guard,
            )

            def publish() -> None:
                self._libraries.attach()
                self._named.attach()
                self._named.tell()
                self._unnamed.look()
                publisher.tell_due(self._clock)

            self._run("why504 publisher", publish, PUBLISH_S)
            self._run("why504 watchdog", self.watchdog.look, LOOK_S)
            self._watch_vitals()
            self._raise_alerts()
            self._serve()

    def shutdown(self) -> None:
        """Flush, stop every thread and remove every hook; the application goes on without."""
        atexit.unregister(self.shutdown)
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=5)
        self.watchdog.stop(self._guard)
        if self._alerting is not None:
            self._alerting.detach()
        if self._server is not None:
            self._server.stop()
        self._engines.detach()
        self._limits.detach()
        self._libraries.detach()
        self._named.detach()
        self._collections.detach()
        if self._hooks is not None:
            self._hooks.detach()
        self._processor.active = False
        if self._own_export is not None:
            self._own_export.shutdown()
        self.sender.shutdown()
        if getattr(self._app, _PROBE, None) is self:
            delattr(self._app, _PROBE)

    def flush(self) -> None:
        """Send what is queued now."""
        self._named.tell()
        if self._own_export is not None:
            self._own_export.force_flush()
        self.sender.flush()

    # --- wiring -----------------------------------------------------------------------------------

    def _attach_tracing(self) -> None:
        self._processor = RegistryProcessor(self.registry, self._guard)
        self._provider.add_span_processor(self._processor)
        self._own_export: OwnExport | None = None
        if isinstance(self._provider, OwnProvider):
            self._own_export = OwnExport(Export(self._settings.endpoint, self._lost))
            self._provider.add_span_processor(self._own_export)

    def _watch_vitals(self) -> None:
        self._collections.attach()
        vitals = VitalsWatch(self.book, self.registry, self.watchdog, self._collections)
        self._run("why504 vitals", vitals.look, VITALS_S)

    def _raise_alerts(self) -> None:
        settings = self._settings
        if not settings.alerts_url:
            return
        self._alerting = Alerting(
            Readings(self.watchdog, self.registry, self._clock, self._theirs),
            post_to(settings.alerts_url, settings.alerts_token),
            self._identity(),
            clock=self._clock,
            guard=self._guard,
        )
        self._alerting.attach()
        self._run("why504 alerts", self._alerting.look, ALERTS_S)

    def _identity(self) -> Mapping[str, str]:
        resource = self._provider.resource.attributes
        return {
            "service": str(resource.get(names.SERVICE_NAME, "")),
            "instance": str(resource.get(names.SERVICE_INSTANCE, "")),
        }

    def _hooked(self, app: FastAPI) -> AppHooks:
        watch = RequestWatch(
            self.registry,
            self.metrics,
            clock=self._clock,
            guard=self._guard,
            dropped=self._dropped,
            on_scope=self._on_scope,
        )
        hooks = AppHooks(app, watch)
        hooks.attach(self._provider)
        return hooks

    # --- running ----------------------------------------------------------------------------------

    def watch_here(self) -> None:
        """Start in this process, and watch the running loop if there is one."""
        self.start()
        with suppress(RuntimeError):
            self.watchdog.watch(asyncio.get_running_loop())

    def _on_scope(self, scope: MutableMapping[str, Any]) -> None:
        self.watch_here()
        server = scope.get("server")
        if self.watchdog.server_port is None and server:
            self.watchdog.server_port = server[1]

    def _after_fork(self) -> None:
        # Threads do not survive a fork, and what was open is open in the parent, not here.
        self._threads.clear()
        self.registry.spans.clear()
        self.book.open_records.clear()
        self.watchdog.loops.clear()
        self._named.forked()
        self._unnamed.forked()
        if self._alerting is not None:
            self._alerting.detach()
            self._alerting = None
        if self._server is not None:
            self._server.abandon()

    def _run(self, name: str, tick: Any, every_s: float) -> None:
        thread = threading.Thread(
            target=run_forever,
            args=(tick, every_s, self._stopping, self._guard),
            name=name,
            daemon=True,
        )
        thread.start()
        self._threads.append(thread)

    def _serve(self) -> None:
        if self._settings.metrics_port < 0:
            return
        with self._guard.site("metrics server"):
            state = State(
                registry=self.registry,
                book=self.book,
                watchdog=self.watchdog,
                pools=self.pools,
                metrics=self.metrics,
                guard=self._guard,
                clock=self._clock,
                identity=self._identity(),
            )
            if self._server is None:
                self.metrics.registry.register(StateCollector(state))
            server = Server(
                self._settings.metrics_host,
                self._settings.metrics_port,
                Together(self.metrics.registry, self._theirs),
                self._guard,
            )
            server.debug = state.debug
            server.limits = self._limits.told
            server.start()
            self._server = server

    def _lost(self, spans: int) -> None:
        self._guard.count("export")
