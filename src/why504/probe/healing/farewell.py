"""What a process tells before it is ended: why, and the ends of all that goes on in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from why504 import names
from why504.probe import site
from why504.probe.healing.hang import Hang
from why504.probe.inflight import Place, Registry
from why504.probe.loop.stall import Watchdog
from why504.probe.telling.openrecord import RecordBook
from why504.probe.telling.records import RecordSpan
from why504.probe.telling.rows import dropped_final

_MOST_ENDED: Final = 2000
"""Requests whose ends are told."""


class Farewell:
    """Tells it into the black box and to the collector.

    Args:
        flush: writes and sends all that is queued.
    """

    def __init__(
        self,
        book: RecordBook,
        watchdog: Watchdog,
        registry: Registry,
        flush: Callable[[], None],
    ) -> None:
        self._book = book
        self._watchdog = watchdog
        self._registry = registry
        self._flush = flush

    def __call__(self, hang: Hang) -> None:
        """Tell all, whatever of it fails."""
        try:
            self._book.sender.send(self._record(hang))
            self._watchdog.end_all(names.RESTARTED)
            self._end_requests()
        finally:
            self._flush()

    def _record(self, hang: Hang) -> RecordSpan:
        record = self._book.mint(names.RESTART, names.process(os.getpid()), Place(None, 0))
        if hang.trace_id:
            record.trace_id, record.parent_id = hang.trace_id, hang.span_id
        record.attributes = {names.RESTART_WHY: hang.why, **hang.where}
        if hang.lines:
            record.attributes[names.CODE_STACKTRACE] = site.stack_text(hang.lines)
        return record.final(names.RESTARTED, self._book.clock.monotonic_s())

    def _end_requests(self) -> None:
        """Tell the ends of requests: nobody else will, and open they would look for ever."""
        now_s = self._book.clock.monotonic_s()
        for entry in self._registry.requests()[:_MOST_ENDED]:
            self._book.sender.send(dropped_final(entry, now_s, {}, "restarted by why504"))
