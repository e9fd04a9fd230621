"""What sampling dropped is told all the same if it took long: a request, an outgoing call.

Head sampling throws away nine traces of ten, and with them the request that hangs.
"""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe.clock import Clock
from why504.probe.inflight import OpenSpan
from why504.probe.publisher import parent_of, request_attributes, span_name
from why504.probe.records import RecordSpan, Sender


class Dropped:
    """Tells what is over and lasted `after_s` seconds or more: the publisher told it while open."""

    def __init__(self, sender: Sender, clock: Clock, after_s: float) -> None:
        self._sender = sender
        self._clock = clock
        self._after_s = after_s

    def is_long(self, entry: OpenSpan) -> bool:
        """Return whether something that ends now is to be told."""
        return self._clock.monotonic_s() - entry.opened_s >= self._after_s

    def tell(
        self, entry: OpenSpan, told: Mapping[str, AttributeValue], error: str | None = None
    ) -> None:
        """Send the span of what ends now, past the sampler; `error` says how it failed."""
        lasted_ns = int((self._clock.monotonic_s() - entry.opened_s) * 1e9)
        attributes = {**request_attributes(entry), **told, names.KEEP: True}
        if entry.route():
            attributes[names.HTTP_ROUTE] = entry.route()
        self._sender.send(
            RecordSpan(
                name=span_name(entry),
                trace_id=entry.trace_id,
                span_id=entry.span_id,
                parent_id=parent_of(entry),
                start_ns=entry.start_ns,
                end_ns=entry.start_ns + max(0, lasted_ns),
                attributes=attributes,
                kind=entry.kind,
                error=error,
            )
        )
