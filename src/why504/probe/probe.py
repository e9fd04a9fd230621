"""The probe of one application: hooks when it is made, threads in the process that serves."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

from why504.config import ProbeSettings
from why504.probe.app.plainapp import PlainApp
from why504.probe.core import Core
from why504.probe.exposed.alerting import LOOK_S as ALERTS_S
from why504.probe.exposed.alerting import Alerting, Readings, post_to
from why504.probe.exposed.metrics import Theirs
from why504.probe.exposed.page import Page
from why504.probe.process.vitals import LOOK_S as VITALS_S
from why504.probe.process.vitals import VitalsWatch
from why504.probe.threads import Threads
from why504.probe.watched import Watched

if TYPE_CHECKING:
    from prometheus_client.registry import Collector
    from sqlalchemy.engine import Engine
    from starlette.applications import Starlette

PROBE: Final = "_why504_probe"
"""Attribute of an application that has a probe."""

_PAGE_AFTER_S: Final = 3.0
"""An application that listens itself, where our page would, has begun to by then; one that serves
requests has ours as soon as it does."""


class Probe:
    """Everything that watches one application; its threads start in the process that serves.

    Args:
        settings: of the environment, or the caller's.
        serves: what is watched will serve HTTP, and says by that when it begins to work.
    """

    of_the_program: ClassVar[Probe | None] = None
    """The one of a program rather than of an application in it; there is one at most."""

    living: ClassVar[list[Probe]] = []

    def __init__(self, settings: ProbeSettings, *, serves: bool) -> None:
        self.settings = settings
        self._core = core = Core(settings, serves=serves)
        self.registry, self.metrics, self.book = core.registry, core.metrics, core.book
        self.watchdog, self.sender = core.watchdog, core.spans.sender
        self.by_itself: list[object] = []
        """What was found by `why504 run`, not told by the application's own code."""
        self._apps: list[object] = []
        self._theirs = Theirs()
        self._watched = Watched(core, self._on_scope, self._on_serving)
        self.pools = self._watched.pools
        self._page = Page(core, self._watched, self._theirs)
        self._threads = Threads(core.guard)
        self._start_lock = threading.Lock()
        self._started_pid = 0
        self._serving: asyncio.AbstractEventLoop | None = None
        """The loop of the latest request, if there is nothing more to find out about it."""
        self._alerting: Alerting | None = None
        # What is queued at exit leaves still; the provider's own exit hook knows spans only.
        atexit.register(self.shutdown)
        Probe.living.append(self)

    def add(
        self,
        app: Starlette | PlainApp | None,
        engines: Mapping[str, Engine],
        *,
        theirs: Collector | None,
        limits: Mapping[str, object],
    ) -> None:
        """Watch this as well; an application is known by its probe from now on."""
        self._theirs.add(theirs)
        self._watched.add(app, engines, limits)
        if app is not None:
            self._apps.append(app)
            setattr(app, PROBE, self)

    @property
    def port(self) -> int:
        """Port of /metrics and /debug/requests; -1 when there is none."""
        self.start()
        self._page.serve()
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

    def go_on(self) -> None:
        """Start here as well if the parent process has: a worker that was forked works on."""
        if self._started_pid:
            self.watch_here()

    def flush(self) -> None:
        """Send what is queued now."""
        self._watched.tell()
        self._core.spans.flush()

    def shutdown(self) -> None:
        """Flush, stop every thread and remove every hook; the application goes on without."""
        atexit.unregister(self.shutdown)
        if self._started_pid not in {0, os.getpid()}:
            self._forked()  # in a child that served nobody all that runs is its parent's
        self._threads.stop()
        self.watchdog.stop(self._core.guard)
        if self._alerting is not None:
            self._alerting.detach()
        self._page.stop()
        self._watched.detach()
        self._core.collections.detach()
        self._core.survival.close()
        self._core.spans.shutdown()
        for app in self._apps:
            if vars(app).get(PROBE) is self:
                delattr(app, PROBE)
        Probe.living = [probe for probe in Probe.living if probe is not self]
        if Probe.of_the_program is self:
            Probe.of_the_program = None

    # --- in the process that serves ---------------------------------------------------------------

    def _on_scope(self, scope: MutableMapping[str, Any]) -> None:
        loop = asyncio._get_running_loop()
        if loop is self._serving and loop is not None:
            return
        self.watch_here()
        server = scope.get("server")
        if self.watchdog.server_port is None and server:
            self.watchdog.server_port = server[1]
        # The lifespan comes first, and does not know the port.
        if scope["type"] == "lifespan":
            return
        self._page.serve()
        if loop is not None and self.watchdog.knows(loop):
            self._serving = loop

    def _on_serving(self) -> None:
        self._core.spans.claim()
        self._page.serve()

    def _run(self) -> None:
        core, watched = self._core, self._watched
        watched.look()
        publisher = core.publisher()
        page_due_s = core.clock.monotonic_s() + _PAGE_AFTER_S

        def publish() -> None:
            if core.clock.monotonic_s() > page_due_s:
                self._page.serve()
            core.spans.look()
            watched.look()
            watched.tell()
            publisher.tell_due(core.clock)

        core.collections.attach()
        vitals = VitalsWatch(core.book, core.registry, core.watchdog, core.collections)
        core.survival.start(self._threads.run, core.watchdog, core.registry, core.book)
        self._threads.run("publisher", publish, publisher.pause_s)
        self._threads.run("watchdog", core.watchdog.look, core.watchdog.pause_s)
        self._threads.run("vitals", vitals.look, VITALS_S)
        self._raise_alerts()

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
        self._serving = None
        self._threads.forked()
        self._core.forked()
        self._watched.forked()
        if self._alerting is not None:
            self._alerting.detach()
            self._alerting = None
        self._page.forked()
