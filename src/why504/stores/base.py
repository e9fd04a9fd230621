"""The port through which evidence is read; one adapter a store."""

from __future__ import annotations

from typing import Any, Protocol

from why504.measured import Measured
from why504.model import Evidence, Window


class Newest(Protocol):
    """A live reading of a store: what came since the last look; for one thread at a time."""

    @property
    def lag_s(self) -> float:
        """For how long what was sent may not be found yet: a moment is complete after that."""

    def newer(self, window: Window) -> list[Any]:
        """Return the rows that came since the last call, in the columns of `records.Row`.

        The first call reads what overlaps `window`. A row may come again.

        Raises:
            StoreUnavailable: the store can't be read now; the next call makes up for it.
        """

    def measured(self) -> Measured | None:
        """Return what metrics tell at this moment; None where no server of them was named."""


class EvidenceStore(Protocol):
    """Where telemetry is kept. Adapters: parquet (embedded); tempo and prometheus (cluster)."""

    def version(self) -> object:
        """Return what is equal as long as the same can be read; None if that can't be known.

        Raises:
            StoreUnavailable: the store can't be read now.
        """

    def extent(self) -> Window | None:
        """Return the time covered by what is stored, or None when nothing is.

        Raises:
            StoreUnavailable: the store can't be read now.
        """

    def evidence(self, window: Window) -> Evidence:
        """Return everything that overlaps `window`, snapshots merged.

        The latest snapshot wins, a final wins over all. A trace comes whole as soon as one of its
        spans overlaps. Order is by start.

        Raises:
            StoreUnavailable: the store can't be read now.
        """

    def sample(self, window: Window, *, slower_than_s: float | None = None) -> Evidence:
        """Return what explains the incidents of `window`: all, or a part with `Evidence.sample`.

        Raises:
            StoreUnavailable: the store can't be read now.
        """

    def trace(self, trace_id: str) -> Evidence:
        """Return everything known of one trace (32 hex digits); empty when it is unknown.

        Raises:
            StoreUnavailable: the store can't be read now.
        """

    def newest(self) -> Newest:
        """Return a live reading, which nobody has looked through yet."""
