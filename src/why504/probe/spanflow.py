"""The way of a span: from the application's tracer provider into the registry, and out."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.trace import Tracer

import why504
from why504 import names
from why504.probe.inflight import Registry, RegistryProcessor
from why504.probe.records import Export, RecordSender
from why504.probe.safety import Guard
from why504.probe.tracing import OwnExport, OwnProvider, provider


class SpanFlow:
    """Spans of the provider that is in force, and the records that go beside them.

    Args:
        endpoint: base URL of OTLP over HTTP.
        registry: told what begins and ends.
        guard: counts exports that failed.
    """

    def __init__(self, endpoint: str, registry: Registry, guard: Guard) -> None:
        self._guard = guard
        self.provider = provider()
        self._processor = RegistryProcessor(registry, guard)
        self.provider.add_span_processor(self._processor)
        self._own_export: OwnExport | None = None
        if isinstance(self.provider, OwnProvider):
            self._own_export = OwnExport(Export(endpoint, self._lost))
            self.provider.add_span_processor(self._own_export)
        self.sender = RecordSender(endpoint, self.provider.resource, on_failure=self._lost)

    def tracer(self) -> Tracer:
        """Return what makes the probe's own spans."""
        return self.provider.get_tracer("why504", why504.__version__)

    def identity(self) -> Mapping[str, str]:
        """Return who speaks: `service` and `instance`."""
        resource = self.provider.resource.attributes
        return {
            "service": str(resource.get(names.SERVICE_NAME, "")),
            "instance": str(resource.get(names.SERVICE_INSTANCE, "")),
        }

    def flush(self) -> None:
        """Send what is queued now."""
        if self._own_export is not None:
            self._own_export.force_flush()
        self.sender.flush()

    def shutdown(self) -> None:
        """Send what is queued and take nothing more."""
        self._processor.active = False
        if self._own_export is not None:
            self._own_export.shutdown()
        self.sender.shutdown()

    def _lost(self, spans: int) -> None:
        self._guard.count("export")
