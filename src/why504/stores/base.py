"""The port through which evidence is read; one adapter a store."""

from __future__ import annotations

from typing import Protocol

from why504.model import Evidence, Window


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
