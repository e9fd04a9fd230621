"""Spans to one OTLP receiver, each until it was taken or never can be: nothing is lost silently.

The gateway's log is its own queue: its watch waits here, and goes on in the log where it was.
Records of locks and alarms wait in a bounded queue, sent by a thread that no watch waits for.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from why504.probe.telling.records import RecordSpan, readable
from why504.watch.delivery_metrics import Delivered
from why504.watch.otlp import Answer, Post, Verdict

PIECE_BYTES: Final = 1_000_000
"""Largest request. A request over Tempo's burst is a 429 that no retry can ever pass."""
QUEUE_LIMIT: Final = 8192
"""Records kept at most while the receiver takes none; the oldest are dropped, and counted."""
BATCH_SPANS: Final = 512
GATHER_S: Final = 0.5
"""Evidence is at most this old when it leaves: somebody waits for the answer."""
FIRST_RETRY_S: Final = 0.4
SLOWEST_RETRY_S: Final = 10.0

_log = logging.getLogger(__name__)


class Delivery:
    """Delivers spans of several threads, and queues those of whoever can't wait."""

    def __init__(self, post: Post, counted: Delivered) -> None:
        self._post = post
        self._counted = counted
        self._queue: deque[ReadableSpan] = deque()
        self._in_hand: list[ReadableSpan] = []
        """What was taken out of the queue and is not delivered yet."""
        self._lock = threading.Lock()
        self._refused_since_s: float | None = None
        counted.read(queued=self.queued, unsent_s=self.unsent_s)

    def queued(self) -> int:
        """Return how many records wait."""
        return len(self._queue) + len(self._in_hand)

    def unsent_s(self) -> float:
        """Return for how long the receiver has taken nothing of what was sent; 0 while it does."""
        since_s = self._refused_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def deliver(self, spans: Sequence[ReadableSpan], stop: threading.Event) -> bool:
        """Send spans until each was taken or never can be; blocks.

        Returns:
            False if `stop` was set before: then each piece was tried once more, and the first that
            did not pass ended it.
        """
        pieces = deque([list(spans)] if spans else [])
        while pieces:
            piece = pieces.popleft()
            body = encode_spans(piece).SerializeToString()
            if len(body) > PIECE_BYTES:
                answer = Answer(Verdict.SMALLER, "too_large", "one span is larger than a request")
            else:
                answer = self._pass(body, stop)
            if answer.verdict is Verdict.LATER:
                return False
            if answer.verdict is Verdict.SMALLER and len(piece) > 1:
                pieces.extendleft(reversed(_halves(piece)))
            else:
                self._done(len(piece), answer)
        return True

    def take(self, span: ReadableSpan) -> None:
        """Queue one span; never blocks."""
        with self._lock:
            if len(self._queue) >= QUEUE_LIMIT:
                self._queue.popleft()
                self._counted.dropped("queue_full", 1)
            self._queue.append(span)

    def run(self, stop: threading.Event) -> None:
        """Send what is queued until `stop` is set; then what is left, once."""
        while not stop.wait(GATHER_S):
            self._drain(stop)
        self._drain(stop)
        if left := self.queued():
            _log.warning("%d records of locks and alarms could not be sent any more", left)
            self._counted.dropped("stopped", left)

    def _drain(self, stop: threading.Event) -> None:
        while batch := self._oldest():
            if not self.deliver(batch, stop):
                return
            self._in_hand = []

    def _oldest(self) -> Sequence[ReadableSpan]:
        with self._lock:
            room = BATCH_SPANS - len(self._in_hand)
            oldest = (self._queue.popleft() for _ in range(min(room, len(self._queue))))
            self._in_hand += oldest
        return self._in_hand

    def _pass(self, body: bytes, stop: threading.Event) -> Answer:
        """Post until the answer is another than not now, or it is time to stop."""
        for pause_s in _pauses():
            answer = self._post(body)
            if answer.verdict is not Verdict.LATER:
                self._refused_since_s = None
                return answer
            self._counted.failed(answer.reason)
            if self._refused_since_s is None:
                self._refused_since_s = time.monotonic()
                _log.warning("spans wait: %s", answer.says)
            if stop.wait(max(pause_s, answer.retry_after_s or 0.0)):
                break
        return answer

    def _done(self, spans: int, answer: Answer) -> None:
        if answer.verdict is Verdict.TAKEN:
            rejected = min(answer.rejected, spans)
            self._counted.sent(spans - rejected)
            self._counted.dropped("rejected", rejected)
            return
        _log.warning("%d spans can never be sent: %s", spans, answer.says)
        self._counted.failed(answer.reason)
        self._counted.dropped(answer.reason, spans)


class QueuedSender:
    """Takes what is seen at one address, told by `resource`, into the queue of a delivery."""

    def __init__(self, delivery: Delivery, resource: Resource) -> None:
        self._delivery = delivery
        self._resource = resource

    def send(self, record: RecordSpan) -> None:
        """Queue one record; never blocks."""
        self._delivery.take(readable(record, self._resource))


def _halves(piece: Sequence[ReadableSpan]) -> list[list[ReadableSpan]]:
    middle = len(piece) // 2
    return [list(piece[:middle]), list(piece[middle:])]


def _pauses() -> Iterator[float]:
    """Yield the seconds between attempts: ever longer, up to a limit, never in step with others."""
    longest_s = FIRST_RETRY_S
    while True:
        yield longest_s * random.uniform(0.5, 1)  # noqa: S311 no secret
        longest_s = min(longest_s * 2, SLOWEST_RETRY_S)
