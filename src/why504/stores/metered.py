"""A store whose evidence has what metrics tell, too: any store, and Prometheus beside it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Pending
from dataclasses import replace
from typing import Any, Final

from why504.measured import Measured
from why504.model import Evidence, Window
from why504.stores.base import EvidenceStore, Newest
from why504.stores.prometheus.store import Prometheus

_FIRST_S: Final = 12.0
"""The first look waits until it is known whether anybody answers."""
_PATIENCE_S: Final = 1.0
"""A later one does not wait longer for gauges: what was told before is shown again."""


class MeteredStore:
    """An `EvidenceStore` with metrics; may be used by threads.

    Spans are read as if there were no metrics, and metrics that can't be read are a sentence in
    the evidence.
    """

    def __init__(self, store: EvidenceStore, metrics: Prometheus) -> None:
        self._store = store
        self._metrics = metrics

    def version(self) -> object:
        """Return as the store does: what metrics tell of the past does not change."""
        return self._store.version()

    def extent(self) -> Window | None:
        """Return the time covered by the store's spans. Raises as the store does."""
        return self._store.extent()

    def evidence(self, window: Window) -> Evidence:
        """Return all of a window, with the gateways' counters. Raises as the store does."""
        return self._beside(
            lambda: self._store.evidence(window), lambda: self._metrics.counted(window)
        )

    def sample(self, window: Window, *, slower_than_s: float | None = None) -> Evidence:
        """Return what explains the incidents of a window, with counters; of a part gauges, too.

        Of what was read whole spans tell more than gauges. Raises as the store does.
        """
        told = self._beside(
            lambda: self._store.sample(window, slower_than_s=slower_than_s),
            lambda: self._metrics.counted(window),
        )
        if told.sample is None or told.measured is None:
            return told
        return replace(told, measured=self._metrics.over(window, told.measured))

    def trace(self, trace_id: str) -> Evidence:
        """Return everything known of one trace. Raises as the store does."""
        return self._store.trace(trace_id)

    def newest(self) -> Newest:
        """Return the store's live reading, with gauges as they are at this moment."""
        return _Gauged(self._store.newest(), self._metrics)

    @staticmethod
    def _beside(read: Callable[[], Evidence], measure: Callable[[], Measured]) -> Evidence:
        with ThreadPoolExecutor(1) as pool:
            measured = pool.submit(measure)
            told = read()
            return replace(told, measured=measured.result())


class _Gauged:
    """A live reading, and gauges asked for meanwhile."""

    def __init__(self, newest: Newest, metrics: Prometheus) -> None:
        self._newest = newest
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="why504-gauges")
        self._asked: Future[Measured] | None = None
        self._told: Measured | None = None

    @property
    def lag_s(self) -> float:
        """As long as the store's."""
        return self._newest.lag_s

    def newer(self, window: Window) -> list[Any]:
        """Return the store's new rows; gauges are asked for at the same time."""
        if self._asked is None:
            self._asked = self._pool.submit(self._metrics.now)
        return self._newest.newer(window)

    def measured(self) -> Measured | None:
        """Return the gauges; those of an earlier look where the server is slow."""
        if self._asked is not None:
            try:
                patience_s = _FIRST_S if self._told is None else _PATIENCE_S
                self._told = self._asked.result(patience_s)
                self._asked = None
            except Pending:
                pass
        return self._told
