"""What is left when the process is lost: its black box."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import why504
from why504 import names
from why504.config import ProbeSettings
from why504.probe.blackbox.box import WRITE_S, BlackBox
from why504.probe.blackbox.file import BoxFile
from why504.probe.clock import Clock
from why504.probe.metrics import Metrics
from why504.probe.safety import Guard
from why504.probe.spanflow import SpanFlow

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
        self._resource = spans.resource
        self.box: BlackBox | None = None
        if settings.black_box:
            self.box = BlackBox(
                self._file(),
                spans.resource,
                guard=guard,
                clock=clock,
                metrics=lambda: _exposed(metrics),
                late_after_s=settings.snapshot_after_s,
            )
            spans.keep_in(self.box)

    def start(self, run: Run) -> None:
        """Begin in the process that serves."""
        if self.box is not None:
            run("black box", self.box.write, WRITE_S)

    def forked(self) -> None:
        """Begin anew in a child: its parent's files are its parent's."""
        if self.box is not None:
            self.box.forked(self._file())

    def close(self) -> None:
        """Write what is queued; take nothing more."""
        if self.box is not None:
            self.box.ends.active = False
            self.box.close()

    def _file(self) -> BoxFile:
        limit_bytes = int(self._settings.black_box_mb * 2**20)
        return BoxFile(Path(self._settings.black_box).absolute(), limit_bytes, self._process)

    def _process(self) -> dict[str, Any]:
        told = self._resource().attributes
        return {
            "pid": os.getpid(),
            "service": told.get(names.SERVICE_NAME),
            "instance": told.get(names.SERVICE_INSTANCE),
            "why504": why504.__version__,
        }


def _exposed(metrics: Metrics) -> bytes:
    from prometheus_client import generate_latest

    return generate_latest(metrics.registry)
