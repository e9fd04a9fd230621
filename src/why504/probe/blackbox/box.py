"""The black box of a process: what is sent is kept here too, whether or not anybody takes it.

Records go in as they are sent, and so do spans that ended late or belong to a request that is late:
else what a snapshot told as open would look open for ever. A thread of its own writes them, so that
a disk that hangs keeps nobody from telling.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from why504.probe.blackbox.file import BoxFile
from why504.probe.blackbox.frames import METRICS, SPANS, pack
from why504.probe.clock import Clock
from why504.probe.inflight import REQUEST
from why504.probe.safety import Guard
from why504.probe.telling.records import RecordSender, RecordSpan, readable

WRITE_S: Final = 0.2
METRICS_EVERY_S: Final = 30.0
QUEUE_LIMIT: Final = 8192
"""Spans kept at most until they are written; later ones are counted, not kept."""
_AT_ONCE: Final = 256
"""Spans of one frame: what a torn one costs."""
_ROUND: Final = 2048
_SHORT_ONES_PER_ROUND: Final = 100
"""Ended spans of a late request that were short: it may hang in thousands of them."""
_SITE: Final = "black box"
_PATIENCE_S: Final = 2.0


class BlackBox:
    """Takes what is told, from any thread, and writes it at each `write`.

    Args:
        resource: who speaks, as far as it is known when something is written.
        metrics: what /metrics answers now.
        late_after_s: a span that lasts longer is kept when it ends.
    """

    def __init__(
        self,
        file: BoxFile,
        resource: Callable[[], Resource],
        *,
        guard: Guard,
        clock: Clock,
        metrics: Callable[[], bytes],
        late_after_s: float,
    ) -> None:
        guard.site(_SITE)
        self._file = file
        self._resource = resource
        self._guard = guard
        self._clock = clock
        self._metrics = metrics
        self._reset()
        self.ends = Ends(self, late_after_s)

    def _reset(self) -> None:
        self._queue: deque[RecordSpan | ReadableSpan] = deque()
        self._writing = threading.Lock()
        self._metrics_due_s = self._clock.monotonic_s() + METRICS_EVERY_S
        self._short_ones = 0

    def take(self, span: RecordSpan | ReadableSpan) -> None:
        """Queue one record or ended span; never blocks."""
        if len(self._queue) >= QUEUE_LIMIT:
            self._guard.count(_SITE)
        else:
            self._queue.append(span)

    def take_short(self, span: ReadableSpan) -> None:
        """Queue a span that ended soon, unless there were many since the last `write`."""
        self._short_ones += 1
        if self._short_ones <= _SHORT_ONES_PER_ROUND:
            self.take(span)

    def write(self) -> None:
        """Write what is queued, and the metrics when they are due."""
        if not self._writing.acquire(timeout=_PATIENCE_S):
            return  # the disk hangs: whoever is at it goes on when it can
        try:
            self._short_ones = 0
            due = [self._queue.popleft() for _ in range(min(len(self._queue), _ROUND))]
            frames = [self._frame(due[at : at + _AT_ONCE]) for at in range(0, len(due), _AT_ONCE)]
            now_s = self._clock.monotonic_s()
            if now_s >= self._metrics_due_s:
                self._metrics_due_s = now_s + METRICS_EVERY_S
                frames.append(pack(METRICS, self._metrics()))
            if frames and not self._file.append(frames):
                self._guard.count(_SITE)
        finally:
            self._writing.release()

    def write_all(self) -> None:
        """Write all that is queued and the metrics of now: the process is about to end."""
        self._metrics_due_s = 0.0
        for _ in range(QUEUE_LIMIT // _ROUND):
            self.write()

    def close(self) -> None:
        """Write all that is queued and give the file back."""
        self.write_all()
        self._file.close()

    def forked(self, file: BoxFile) -> None:
        """Begin a file of this process's own: what is queued is the parent's to write."""
        self._file.close()
        self._file = file
        self._reset()

    def _frame(self, spans: Sequence[RecordSpan | ReadableSpan]) -> bytes:
        # Imported here: protobuf costs an import that a process without a box need not pay.
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

        told = [
            readable(span, self._resource()) if isinstance(span, RecordSpan) else span
            for span in spans
        ]
        return pack(SPANS, encode_spans(told).SerializeToString())


class Ends(SpanProcessor):
    """Keeps the ends of spans that lasted, and of short ones within a request that is late."""

    told_last = True

    def __init__(self, box: BlackBox, late_after_s: float) -> None:
        self.active = True
        self._box = box
        self._late_ns = int(late_after_s * 1e9)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing: what is open the publisher tells."""

    def on_end(self, span: ReadableSpan) -> None:
        """Keep an ended span if it may matter."""
        if not self.active:
            return
        if (span.end_time or 0) - (span.start_time or 0) >= self._late_ns:
            self._box.take(span)
            return
        request = REQUEST.get()
        if request is not None and request.telling is not None:
            self._box.take_short(span)


class Boxed:
    """Sends records and keeps them in a black box."""

    def __init__(self, sender: RecordSender, box: BlackBox) -> None:
        self._sender = sender
        self._box = box
        self.flush = sender.flush
        self.shutdown = sender.shutdown

    def send(self, record: RecordSpan) -> None:
        """Send one record."""
        self._box.take(record)
        self._sender.send(record)
