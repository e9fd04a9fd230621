"""The probe of one application: hooks when it is made, threads in the process that serves."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from why504.config import ProbeSettings
from why504.probe.alerting import LOOK_S as ALERTS_S
from why504.probe.alerting import Alerting, Readings, post_to
from why504.probe.core import Core
from why504.probe.page import Page
from why504.probe.publisher import POLL_S as PUBLISH_S
from why504.probe.stall import POLL_S as LOOK_S
from why504.probe.threads import Threads
from why504.probe.vitals import LOOK_S as VITALS_S
from why504.probe.vitals import VitalsWatch
from why504.probe.watched import Watched

if TYPE_CHECKING:
    from fastapi import FastAPI
    from prometheus_client import CollectorRegistry
    from sqlalchemy.engine import Engine

PROBE: Final = "_why504_probe"
"""Attribute of an application that has a probe."""


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
        self._core = core = Core(settings)
        self.registry, self.metrics, self.book = core.registry, core.metrics, core.book
        self.watchdog, self.sender = core.watchdog, core.spans.sender
        self._watched = Watched(core, app, engines, limits=limits, on_scope=self._on_scope)
        self.pools = self._watched.pools
        self._page = Page(core, self.pools, self._watched.limits, theirs)
        self._threads = Threads(core.guard)
        self._start_lock = threading.Lock()
        self._started_pid = 0
        self._alerting: Alerting | None = None
        # What is queued at exit leaves still; the provider's own exit hook knows spans only.
        atexit.register(self.shutdown)

    @property
    def port(self) -> int:
        """Port of /metrics and /debug/requests; -1 when there is none."""
        self.start()
        return self._page.port

    def start(self) -> None:
        """Start the threads in this process; the first request does it, after any fork."""
        if self._started_pid == os.getpid():
            return
        with self._start_lock:
            if self._started_pid == os.getpid():
                return
            if self._started_pid:
                self._forked()
            self._started_pid = os.getpid()
            self._run()

    def watch_here(self) -> None:
        """Start in this process, and watch the running loop if there is one."""
        self.start()
        with suppress(RuntimeError):
            self.watchdog.watch(asyncio.get_running_loop())

    def flush(self) -> None:
        """Send what is queued now."""
        self._watched.tell()
        self._core.spans.flush()

    def shutdown(self) -> None:
        """Flush, stop every thread and remove every hook; the application goes on without."""
        atexit.unregister(self.shutdown)
        self._threads.stop()
        self.watchdog.stop(self._core.guard)
        if self._alerting is not None:
            self._alerting.detach()
        self._page.stop()
        self._watched.detach()
        self._core.collections.detach()
        self._core.spans.shutdown()
        if getattr(self._app, PROBE, None) is self:
            delattr(self._app, PROBE)

    # --- in the process that serves ---------------------------------------------------------------

    def _on_scope(self, scope: MutableMapping[str, Any]) -> None:
        self.watch_here()
        server = scope.get("server")
        if self.watchdog.server_port is None and server:
            self.watchdog.server_port = server[1]

    def _run(self) -> None:
        core, watched = self._core, self._watched
        watched.look()
        publisher = core.publisher()

        def publish() -> None:
            watched.look()
            watched.tell()
            publisher.tell_due(core.clock)

        core.collections.attach()
        vitals = VitalsWatch(core.book, core.registry, core.watchdog, core.collections)
        self._threads.run("publisher", publish, PUBLISH_S)
        self._threads.run("watchdog", core.watchdog.look, LOOK_S)
        self._threads.run("vitals", vitals.look, VITALS_S)
        self._raise_alerts()
        self._page.serve()

    def _raise_alerts(self) -> None:
        core = self._core
        if not core.settings.alerts_url:
            return
        self._alerting = Alerting(
            Readings(core.watchdog, core.registry, core.clock, self._theirs),
            post_to(core.settings.alerts_url, core.settings.alerts_token),
            core.spans.identity(),
            clock=core.clock,
            guard=core.guard,
        )
        self._alerting.attach()
        self._threads.run("alerts", self._alerting.look, ALERTS_S)

    def _forked(self) -> None:
        self._threads.forked()
        self._core.forked()
        self._watched.forked()
        if self._alerting is not None:
            self._alerting.detach()
            self._alerting = None
        self._page.forked()
