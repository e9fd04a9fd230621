"""Fakes that the tests of why504, and of those who build on it, share: time, ids, a collector."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer, format_span_id

from why504 import names
from why504.probe.clock import Clock
from why504.probe.spans.latetracer import LateTracer
from why504.probe.telling.records import RecordSpan


class FakeClock(Clock):
    """A clock that moves only when told to; wall time begins at `start_ns`."""

    def __init__(self, start_ns: int = 1_700_000_000_000_000_000) -> None:
        self._wall_ns = start_ns
        self._monotonic_s = 1000.0
        self._cpu_s = 0.0

    def wall_ns(self) -> int:
        """Return the fake Unix time."""
        return self._wall_ns

    def monotonic_s(self) -> float:
        """Return the fake monotonic time."""
        return self._monotonic_s

    def cpu_s(self) -> float:
        """Return the fake CPU time of the process."""
        return self._cpu_s

    def advance(self, seconds: float, *, cpu_s: float = 0.0) -> None:
        """Let time pass, `cpu_s` of it computing."""
        self._monotonic_s += seconds
        self._wall_ns += round(seconds * 1e9)
        self._cpu_s += cpu_s

    def set_wall(self, wall_ns: int) -> None:
        """Let the wall clock jump, as NTP does; monotonic time goes on unmoved."""
        self._wall_ns = wall_ns


class SequentialIds:
    """Mints 1, 2, 3 ... for spans and, apart from them, for traces."""

    def __init__(self) -> None:
        self._trace = 0
        self._span = 0

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        self._trace += 1
        return self._trace

    def generate_span_id(self) -> int:
        """Return the next span id."""
        self._span += 1
        return self._span


class CollectedRecords:
    """Keeps what it is sent, in order; stands in for `RecordSender`."""

    def __init__(self) -> None:
        self.sent: list[RecordSpan] = []

    def send(self, record: RecordSpan) -> None:
        """Keep one record."""
        self.sent.append(record)

    def of_kind(self, kind: str) -> list[RecordSpan]:
        """Return the records of a kind: `wait`, `hold`, `stall`, `snapshot`."""
        return [record for record in self.sent if record.attributes.get(names.KIND) == kind]

    def tellings_of(self, record: RecordSpan) -> list[RecordSpan]:
        """Return the open tellings of a final record or span, in order."""
        told = format_span_id(record.span_id)
        return [one for one in self.sent if one.attributes.get(names.SNAPSHOT_OF) == told]


def settled(tracer: Tracer) -> LateTracer:
    """Return a tracer as the probe's parts are given it, which makes its spans with this one."""
    return LateTracer(lambda: (TracerProvider(), True), lambda _: tracer)
