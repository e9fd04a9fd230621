"""Keeps what was read, and reads it again behind the back of whoever looks.

Streamlit runs a page again at every click: a click must never wait for a million spans.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

log = logging.getLogger(__name__)

FRESH_S: Final = 10.0
"""Age at which what was read is read again; a hang is watched while it grows."""

T = TypeVar("T")


class _Kept(NamedTuple, Generic[T]):
    """What was read, of which version of its source, and when it was known to be so."""

    value: T
    version: object
    at_s: float


class Refreshed(Generic[T]):
    """The latest outcome of a reading; for any number of threads."""

    def __init__(
        self,
        read: Callable[[], T],
        *,
        version: Callable[[], object] = lambda: None,
        fresh_s: float = FRESH_S,
    ) -> None:
        """Take how to read, and what is equal as long as nothing new can be read, or None."""
        self._read = read
        self._version = version
        self._fresh_s = fresh_s
        self._reading = threading.Lock()
        self._kept: _Kept[T] | None = None

    def get(self) -> T:
        """Return what was read last; waits for it only the first time, or if that was long ago.

        Raises:
            Exception: whatever the reading raises, while nothing recent is known.
        """
        kept = self._kept
        if kept is None or self._age_s(kept) > 6 * self._fresh_s:
            with self._reading:
                if self._kept is kept:
                    self._kept = self._anew(kept)
                kept = self._kept
        elif self._age_s(kept) > self._fresh_s and self._reading.acquire(blocking=False):
            threading.Thread(target=self._behind, args=[kept], daemon=True).start()
        assert kept is not None  # noqa: S101 - read just now, by us or by whom we waited for
        return kept.value

    def _behind(self, kept: _Kept[T]) -> None:
        try:
            self._kept = self._anew(kept)
        except Exception as error:
            # Whoever waits for the next reading is told; till then what was read last is shown.
            log.warning("reading again failed: %s", error)
        finally:
            self._reading.release()

    def _anew(self, kept: _Kept[T] | None) -> _Kept[T]:
        # Asked before the reading: what comes in meanwhile is read the next time.
        version = self._version()
        if kept is not None and version is not None and version == kept.version:
            return kept._replace(at_s=time.monotonic())
        return _Kept(self._read(), version, time.monotonic())

    def _age_s(self, kept: _Kept[T]) -> float:
        return time.monotonic() - kept.at_s
