"""Whose tracer provider is used, and which names HTTP spans get.

The application's own provider is kept; only where there is none do we make one, with an export.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections import deque
from typing import Final

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import TraceFlags

from why504 import names
from why504.probe.lean.outbox import Outbox
from why504.probe.lean.provider import LeanProvider
from why504.probe.lean.request import Entry
from why504.probe.lean.span import LeanSpan
from why504.probe.safety import Guard

_FLAGS: Final = 3
"""Place of the flags in a SpanContext: it is a tuple."""
_SAMPLED: Final = TraceFlags.SAMPLED
ENCODED_AT_ONCE: Final = 16
"""Spans that end one at a time find the encoder's code and tables gone from the processor's caches;
many at once would keep an event loop from turning."""
_OPT_IN: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"


class OwnProvider(LeanProvider):
    """The provider that the probe made because the application had none."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource)
        self._exports: list[OwnExport] = []

    def add_export(self, export: OwnExport) -> None:
        """Send spans by an export; with several probes in a process the first one's sends them."""
        self._exports.append(export)
        if len(self._exports) == 1:
            self.add_span_processor(export)

    def remove_export(self, export: OwnExport) -> None:
        """Send nothing by an export any more; the next one's turn."""
        if export not in self._exports:
            return
        first = self._exports[0]
        self._exports.remove(export)
        if export is first:
            self.remove_span_processor(export)
            if self._exports:
                self.add_span_processor(self._exports[0])

    def forked(self) -> None:
        """Go on in a child process, as an instance of its own."""
        super().forked()
        for export in self._exports:
            export.forked()
        told = OTELResourceDetector().detect().attributes
        mine = {name: value for name, value in _identity().items() if name not in told}
        self._resource = self._resource.merge(Resource(mine))


class OwnExport(SpanProcessor):
    """The export of a provider of ours; can be taken off, which the SDK has no way to do."""

    told_last = True

    def __init__(self, outbox: Outbox, guard: Guard) -> None:
        self._outbox: Outbox | None = outbox
        self._guard = guard.site("encode")
        self._ended: deque[LeanSpan] = deque()
        outbox.refill = self._encode

    def on_end(self, span: ReadableSpan) -> None:
        """Take an ended span; each so many are encoded and queued, by whoever ends the last."""
        outbox = self._outbox
        if outbox is None or span.__class__ is not LeanSpan:
            return
        if span._context[_FLAGS] & _SAMPLED:
            ended = self._ended
            ended.append(span)
            if len(ended) >= ENCODED_AT_ONCE:
                self._encode()
            elif not outbox.is_awake:
                outbox.wake()

    def _encode(self) -> None:
        outbox, ended = self._outbox, self._ended
        encoded: list[Entry] = []
        while ended:
            try:
                span = ended.popleft()
            except IndexError:  # another thread's now
                break
            try:
                encoded.append((span._tracer.scope_wire, span.encoded()))
            except Exception as error:
                if not self._guard.swallows(error):
                    raise
        if outbox is not None and encoded:
            outbox.take(*encoded)

    def forked(self) -> None:
        """Forget what ended in the parent: the parent sends it."""
        self._ended.clear()

    def shutdown(self) -> None:
        """Send what is queued and take nothing more; the provider calls it at exit."""
        outbox = self._outbox
        if outbox is not None and not outbox.is_refused:  # a dead collector is not waited for
            outbox.flush()
        self._outbox = None

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what is queued now."""
        if self._outbox is not None:
            self._outbox.flush()
        return True


def own_resource() -> Resource:
    """Return who speaks where the application does not say it."""
    # What OTEL_RESOURCE_ATTRIBUTES says wins over what we would make up.
    return Resource(_identity()).merge(Resource.create())


def _identity() -> dict[str, str | int]:
    return {
        names.SERVICE_INSTANCE: str(uuid.uuid4()),
        names.PROCESS_PID: os.getpid(),
        "host.name": socket.gethostname(),
    }


def opt_in_to_new_http_names() -> None:
    """Ask OpenTelemetry's instrumentation for today's HTTP names, beside what the user asked for.

    It reads the variable once, when the first instrumentor of the process starts.
    """
    chosen = [part.strip() for part in os.environ.get(_OPT_IN, "").split(",") if part.strip()]
    if not {"http", "http/dup"} & set(chosen):
        os.environ[_OPT_IN] = ",".join([*chosen, "http"])
