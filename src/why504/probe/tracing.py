"""Whose tracer provider is used, and which names HTTP spans get.

The application's own provider is kept; only where there is none do we make one, with an export.
"""

from __future__ import annotations

import os
import socket
import uuid
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from why504 import names
from why504.probe.records import Export

_OPT_IN: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"


class OwnProvider(TracerProvider):
    """The provider that the probe made because the application had none."""


class OwnExport(SpanProcessor):
    """The export of a provider of ours; can be taken off, which the SDK has no way to do."""

    def __init__(self, export: Export) -> None:
        self._export: Export | None = export

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing: spans are exported when they end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue an ended span."""
        if self._export is not None:
            self._export.take(span)

    def shutdown(self) -> None:
        """Send what is queued and take nothing more; the provider calls it at exit."""
        export, self._export = self._export, None
        if export is not None:
            export.stop()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what is queued now."""
        if self._export is not None:
            self._export.flush()
        return True


def own_resource() -> Resource:
    """Return who speaks where the application does not say it."""
    ours: dict[str, str | int] = {
        names.SERVICE_INSTANCE: str(uuid.uuid4()),
        names.PROCESS_PID: os.getpid(),
        "host.name": socket.gethostname(),
    }
    # What OTEL_RESOURCE_ATTRIBUTES says wins over what we would make up.
    return Resource(ours).merge(Resource.create())


def opt_in_to_new_http_names() -> None:
    """Ask OpenTelemetry's instrumentation for today's HTTP names, beside what the user asked for.

    It reads the variable once, when the first instrumentor of the process starts.
    """
    chosen = [part.strip() for part in os.environ.get(_OPT_IN, "").split(",") if part.strip()]
    if not {"http", "http/dup"} & set(chosen):
        os.environ[_OPT_IN] = ",".join([*chosen, "http"])
