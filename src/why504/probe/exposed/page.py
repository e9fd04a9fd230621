"""What one probe shows of itself: its state and its metrics, on a port of each process."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from why504.errors import ConfigError
from why504.probe.core import Core
from why504.probe.exposed.metrics import Together
from why504.probe.exposed.serve import Server
from why504.probe.exposed.state import State, StateCollector
from why504.probe.watched import Watched

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

_LOG = logging.getLogger("why504.probe")


class Page:
    """Serves while the process does; `port` is -1 while nothing is served."""

    def __init__(self, core: Core, watched: Watched, theirs: Collector) -> None:
        self._core = core
        self._watched = watched
        self._theirs = theirs
        self._server: Server | None = None
        self._is_collected = False
        self._lock = threading.Lock()
        self._is_served = False

    @property
    def port(self) -> int:
        """Port of /metrics and /debug/requests."""
        return -1 if self._server is None else self._server.port

    def serve(self) -> None:
        """Answer from now on, unless it does already or the settings want no port."""
        settings = self._core.settings
        if settings.metrics_port < 0 or self._is_served:
            return
        with self._lock, self._core.guard.site("metrics server"):
            if self._is_served:
                return
            self._is_served = True
            state = self._state()
            registry = Together(self._core.metrics.registry, self._theirs)
            try:
                server = Server(
                    settings.metrics_host,
                    settings.metrics_port,
                    registry,
                    self._core.guard,
                    token=settings.page_token(),
                )
            except ConfigError as error:
                # The application serves all the same: it may not fall for a page of ours.
                _LOG.error("why504: %s", error)
                return
            server.debug = state.debug
            server.limits = self._watched.limits
            server.start()
            self._server = server

    def stop(self) -> None:
        """Give the port back."""
        with self._lock:
            self._is_served = True  # and is not opened any more
        if self._server is not None:
            self._server.stop()

    def forked(self) -> None:
        """Leave the port to the parent process, which has it too."""
        self._lock = threading.Lock()
        self._is_served = False
        if self._server is not None:
            self._server.abandon()
            self._server = None

    def _state(self) -> State:
        core = self._core
        state = State(
            registry=core.registry,
            book=core.book,
            watchdog=core.watchdog,
            pools=self._watched.pools,
            metrics=core.metrics,
            guard=core.guard,
            clock=core.clock,
            identity=core.spans.identity(),
        )
        if not self._is_collected:
            core.metrics.registry.register(StateCollector(state))
            self._is_collected = True
        return state
