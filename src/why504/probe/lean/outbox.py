"""The thread that sends encoded spans, and where they wait for it.

Spans are encoded, a few at a time, by whoever ends them. A thread that encoded them all would hold
the interpreter for milliseconds at a time, and the event loop would wait for it.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.resources import Resource

from why504.probe.lean.request import Entry, Request, packed
from why504.probe.lean.target import target_of
from why504.probe.lean.waiting import Waiting

if TYPE_CHECKING:
    from why504.probe.lean.post import Answer, Post

DELAY_S: Final = 0.5
"""Evidence is at most this old when it leaves: somebody waits for the answer."""
HURRY_SPANS: Final = 512
"""So many that wait leave at once."""
FLUSH_S: Final = 2.0
"""Longest wait for all that is queued; an exit, which flushes more than once, waits no longer."""
PATIENCE_S: Final = 1.0
"""How long an exit waits for the request that goes on: it need not be in trouble."""
_GOODBYE_S: Final = 0.25
"""How long for the thread: hung up on it ends at once, unless it connects or looks up a name."""
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0

_log = logging.getLogger(__name__)


def _nobody(spans: int) -> None:
    return None


def _nothing() -> None:
    return None


class Outbox:
    """Takes encoded spans from any thread; never blocks, never raises for a dead collector.

    Args:
        endpoint: base URL, `http://127.0.0.1:4318`; `/v1/traces` is added.
        resource: returns who speaks, asked whenever something is sent.
        on_failure: called with the number of spans whenever a request failed.
        on_lost: called with the number of spans that nobody will ever see.
    """

    def __init__(
        self,
        endpoint: str,
        resource: Callable[[], Resource],
        *,
        on_failure: Callable[[int], object] = _nobody,
        on_lost: Callable[[int], object] = _nobody,
    ) -> None:
        self._target = target_of(endpoint)
        self._resource = resource
        self._on_failure = on_failure
        self._on_lost = on_lost
        self._stopping = False
        self.refill: Callable[[], object] = _nothing
        """Called before anything is sent: queues what is left to encode."""
        self._begin_anew()
        if hasattr(os, "register_at_fork"):
            _begin_anew_in_children(self)

    def _begin_anew(self) -> None:
        # What waited in the parent is sent by the parent, on the parent's connection; and a lock
        # may have been held by a thread that does not exist here.
        self._waiting = Waiting()
        self._in_hand: Request | None = None
        """That was not taken yet."""
        # A bell, not an event: garbage collection may ring it in the middle of a wait for it.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._sending = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._post: Post | None = None
        self._thread: threading.Thread | None = None
        self.is_refused = False
        """Whether the latest request was not taken: nobody is there, or nobody who wants it."""
        self._was_late = False
        """Whether the latest flush ran out of time, and nothing was taken since."""
        self._pause_s = FIRST_PAUSE_S
        self._not_before_s = 0.0
        self.is_awake = False
        """Whether `refill` will be called without a `wake`."""

    def wake(self) -> None:
        """Have `refill` called within half a second."""
        self.is_awake = True
        self._bell.put(None)
        if self._thread is None and not self._stopping:
            self._start()

    def take(self, *spans: Entry) -> None:
        """Queue encoded spans; the oldest are dropped where there is no room."""
        if self._stopping:
            self._on_lost(len(spans))
            return
        before, lost = self._waiting.put(spans)
        if lost:
            self._on_lost(lost)
        if not before or before < HURRY_SPANS <= before + len(spans):
            self._bell.put(None)
        if self._thread is None:
            self._start()

    def flush(self) -> None:
        """Send what is queued now; returns when it was taken or refused, after 2 s at most."""
        self._flush(time.monotonic() + FLUSH_S)

    def _flush(self, until_s: float) -> None:
        if self._sending.acquire(timeout=max(until_s - time.monotonic(), 0.0)):
            try:
                self._drain(until_s)
            finally:
                self._sending.release()
        self._was_late = time.monotonic() >= until_s

    def stop(self) -> None:
        """Send what is queued and end the thread; a dead collector is not waited for."""
        if self._stopping:
            return
        self.refill()
        self._stopping = True
        self._bell.put(None)
        # The provider has flushed before us: who was waited for in vain is not waited for again.
        longest_s = 0.0 if self._was_late else FLUSH_S
        until_s = time.monotonic() + longest_s
        if self._idle.wait(min(longest_s, PATIENCE_S)) and not self.is_refused:
            self._flush(until_s)
        if self._post is not None:
            self._post.hang_up()
        thread = self._thread
        if thread is not None:
            thread.join(_GOODBYE_S)
        if self._post is not None and self._sending.acquire(blocking=False):
            self._post.close()
            self._sending.release()
        left = self._left()
        if left:
            self._on_lost(left)

    def _left(self) -> int:
        in_hand, self._in_hand = self._in_hand, None
        waiting, self._waiting = self._waiting, Waiting()
        return len(waiting) + (0 if in_hand is None else in_hand.spans)

    # --- the thread -------------------------------------------------------------------------------

    def _start(self) -> None:
        # Whoever comes first: a thread that was made before a fork would not be there after it.
        thread = threading.Thread(target=self._run, name="why504 export", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # the interpreter goes down, or the machine has no thread left
            self._thread = None

    def _run(self) -> None:
        while not self._stopping:
            self._sleep()
            with self._sending:
                if not self._stopping:
                    self._drain()

    def _sleep(self) -> None:
        """Wait for something to send, and for more of it."""
        if self._in_hand is None and not len(self._waiting):
            self._bell.get()
        until_s = max(time.monotonic() + DELAY_S, self._not_before_s)
        while not self._stopping and (left_s := until_s - time.monotonic()) > 0:
            try:
                self._bell.get(timeout=left_s)
            except Empty:
                return
            if self._in_hand is None and len(self._waiting) >= HURRY_SPANS:
                return

    def _drain(self, until_s: float = float("inf")) -> None:
        """Send until nothing waits, or a request is refused that may pass later."""
        self.is_awake = False  # before: what comes later wakes it again
        self.refill()
        while (left_s := until_s - time.monotonic()) > 0:
            if self._in_hand is None:
                piece = self._waiting.piece()
                if not piece:
                    return
                self._in_hand = packed(piece, self._resource(), self._target.compression)
            request = self._in_hand
            answer = self._try(request, min(left_s, self._target.timeout_s))
            if answer.taken:
                self.is_refused = self._was_late = False
                self._pause_s = FIRST_PAUSE_S
                self._in_hand = None
            elif self._kept(request.spans, answer):
                return

    def _try(self, request: Request, timeout_s: float) -> Answer:
        # Imported here: `http.client` costs 10 ms, and whoever starts the application waits.
        from why504.probe.lean.post import Post

        if self._post is None:
            self._post = Post(self._target)
        self._idle.clear()
        try:
            return self._post(request, timeout_s)
        finally:
            self._idle.set()

    def _kept(self, spans: int, answer: Answer) -> bool:
        """Return whether a refused request is tried again: until it passes, whatever it takes."""
        self._on_failure(spans)
        if not self.is_refused:
            self.is_refused = True
            _log.warning("spans are not taken by %s: %s", self._target.url, answer.says)
        if not answer.again:
            self._in_hand = None
            self._on_lost(spans)
            return False
        pause_s = max(self._pause_s * random.uniform(0.5, 1), answer.retry_after_s)  # noqa: S311
        self._not_before_s = time.monotonic() + pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        return True


def _begin_anew_in_children(outbox: Outbox) -> None:
    # Weak: what is registered for forks can't be taken back, and would keep every outbox for good.
    begin_anew = weakref.WeakMethod(outbox._begin_anew)

    def in_child() -> None:
        known = begin_anew()
        if known is not None:
            known()

    os.register_at_fork(after_in_child=in_child)
