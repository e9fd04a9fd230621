"""What sampling dropped is told all the same if it took long: a request, an outgoing call.

Head sampling throws away nine traces of ten, and with them the request that hangs. One that is long
may hang in many short calls: from then on those are told too, up to a limit that no service feels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.util.types import AttributeValue

from why504.probe.clock import Clock
from why504.probe.inflight import OpenSpan
from why504.probe.telling.records import RecordSpan, Sender
from why504.probe.telling.rows import dropped_final

MOST_SHORT_CALLS_PER_S: Final = 1_000
"""Told of all long requests together; 20 us each."""


class Dropped:
    """Tells what is over and lasted `after_s` seconds or more: the publisher told it while open."""

    def __init__(self, sender: Sender, clock: Clock, after_s: float) -> None:
        self._sender = sender
        self._clock = clock
        self._after_s = after_s
        self._second = 0
        self._told = 0

    def is_of_a_long_one(self, request: OpenSpan) -> bool:
        """Return whether a short call that ends now is to be told, for the sake of its request."""
        if request.span is not None or not self.is_long(request):
            return False
        second = int(self._clock.monotonic_s())
        if second != self._second:
            self._second, self._told = second, 0
        self._told += 1
        return self._told <= MOST_SHORT_CALLS_PER_S

    def is_long(self, entry: OpenSpan) -> bool:
        """Return whether something that ends now is to be told."""
        return self._clock.monotonic_s() - entry.opened_s >= self._after_s

    def tell(
        self, entry: OpenSpan, told: Mapping[str, AttributeValue], error: str | None = None
    ) -> None:
        """Send the span of what ends now, past the sampler; `error` says how it failed."""
        self._sender.send(self.final(entry, told, error))

    def final(
        self, entry: OpenSpan, told: Mapping[str, AttributeValue], error: str | None
    ) -> RecordSpan:
        """Return the span of what ends now."""
        return dropped_final(entry, self._clock.monotonic_s(), told, error)
