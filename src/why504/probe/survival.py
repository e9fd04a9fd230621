"""What is left when the process is lost, and who ends it when it hangs: as the settings say."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import why504
from why504 import names
from why504.config import ProbeSettings
from why504.probe.blackbox import folder as places
from why504.probe.blackbox.box import WRITE_S, BlackBox
from why504.probe.blackbox.file import BoxFile
from why504.probe.clock import Clock
from why504.probe.exposed.metrics import Metrics
from why504.probe.healing.counted import RestartCollector
from why504.probe.healing.deadman import Deadman
from why504.probe.healing.farewell import Farewell
from why504.probe.healing.hang import Hangs
from why504.probe.healing.healer import Healer
from why504.probe.healing.restarts import Permit, Restarts
from why504.probe.healing.successor import tell_of_the_dead
from why504.probe.inflight import Registry
from why504.probe.loop.dumptimer import TIMER
from why504.probe.loop.gildump import GilDump
from why504.probe.loop.stall import Watchdog
from why504.probe.safety import Guard
from why504.probe.spans.spanflow import SpanFlow
from why504.probe.telling.openrecord import RecordBook

_LOG = logging.getLogger("why504.probe")

Run = Callable[[str, Callable[[], object], float], object]
"""Begins a thread of the probe: its name, what it does again and again, and how often."""


class Survival:
    """Wires what outlives one process; does nothing where no setting asks for it."""

    def __init__(
        self,
        settings: ProbeSettings,
        spans: SpanFlow,
        metrics: Metrics,
        *,
        clock: Clock,
        guard: Guard,
    ) -> None:
        self._settings = settings
        self._spans = spans
        self._metrics = metrics
        self._clock = clock
        self._guard = guard
        self._deadman: Deadman | None = None
        self._began_ns = clock.wall_ns()
        self._folder = _folder(settings, guard)
        self.box: BlackBox | None = None
        self._restarts: Restarts | None = None
        metrics.registry.register(RestartCollector(self._total))
        if settings.gil_dump_after_s > 0:
            TIMER.attach()
        if self._folder:
            self.box = BlackBox(
                self._file(self._folder),
                spans.resource,
                guard=guard,
                clock=clock,
                metrics=lambda: _exposed(metrics),
                late_after_s=settings.snapshot_after_s,
            )
            spans.keep_in(self.box)

    def start(self, run: Run, watchdog: Watchdog, registry: Registry, book: RecordBook) -> None:
        """Begin in the process that serves."""
        after_s = self._settings.gil_dump_after_s
        if after_s > 0:
            path = None if self._folder is None else places.dump(self._folder, self._stem)
            with self._guard.site("dump"):
                watchdog.dumps_into(GilDump(path, self._process(), after_s))
        if self.box is None:
            return
        run("black box", self.box.write, WRITE_S)
        if self._folder is not None and self._settings.on_stall == "restart":
            watchdog.then = [self._healing(self._folder, watchdog, registry, book).look]

    def forked(self) -> None:
        """Begin anew in a child: its parent's files are its parent's."""
        self._began_ns = self._clock.wall_ns()
        self._deadman = None
        if self.box is not None and self._folder is not None:
            self.box.forked(self._file(self._folder))

    def close(self) -> None:
        """Write what is queued; take nothing more."""
        TIMER.detach()
        if self._deadman is not None:
            self._deadman.detach()
        if self.box is not None:
            self.box.ends.active = False
            self.box.close()

    def _healing(
        self, folder: Path, watchdog: Watchdog, registry: Registry, book: RecordBook
    ) -> Healer:
        after_s = self._settings.restart_after_s
        service = str(self._spans.resource().attributes.get(names.SERVICE_NAME, ""))
        self._restarts = Restarts(folder, service, wait_s=2 * after_s)
        with self._guard.site("restart"):
            tell_of_the_dead(folder, service, self._restarts, book)
        self._deadman = Deadman(places.exit_dump(folder, self._stem), self._process(), after_s)
        hangs = Hangs(
            watchdog,
            registry,
            clock=self._clock,
            ended=self._metrics.requests_ended,
            after_s=after_s,
        )
        return Healer(
            hangs,
            Permit(self._restarts, self._clock, self._began_ns),
            Farewell(book, watchdog, registry, self._write_and_send),
            deadman=self._deadman,
            clock=self._clock,
        )

    def _write_and_send(self) -> None:
        if self.box is not None:
            self.box.write_all()
        self._spans.sender.flush()

    def _file(self, folder: Path) -> BoxFile:
        limit_bytes = int(self._settings.black_box_mb * 2**20)
        file = BoxFile(folder, limit_bytes, self._process)
        self._stem = file.stem
        return file

    def _total(self) -> int:
        return 0 if self._restarts is None else self._restarts.total()

    def _process(self) -> dict[str, Any]:
        told = self._spans.resource().attributes
        return {
            "pid": os.getpid(),
            "service": told.get(names.SERVICE_NAME),
            "instance": told.get(names.SERVICE_INSTANCE),
            "cwd": os.getcwd(),
            "why504": why504.__version__,
        }


def _folder(settings: ProbeSettings, guard: Guard) -> Path | None:
    """Return where evidence is kept; None if nobody asked for it, or nobody else may write there.

    Whoever restarts needs a place that outlives the process, named or not.
    """
    if settings.black_box:
        return Path(settings.black_box).absolute()
    if settings.on_stall != "restart":
        return None
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"why504-{user}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 0o022:
            return folder
    guard.count("black box")
    _LOG.warning("%s is not ours alone: name a folder in WHY504_BLACK_BOX; no restarts", folder)
    return None


def _exposed(metrics: Metrics) -> bytes:
    from prometheus_client import generate_latest

    return generate_latest(metrics.registry)
