"""What `opentelemetry-instrument` finds under the entry point `opentelemetry_instrumentor`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)

from why504.probe.begin.wiring import begin


class Instrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Does what `why504 run` does, in a program that OpenTelemetry's launcher starts."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: we look at what a program imports, whatever that is."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        begin()

    def _uninstrument(self, **kwargs: Any) -> None:
        from why504.probe.probe import Probe

        for probe in list(Probe.living):
            probe.shutdown()
