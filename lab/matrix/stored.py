"""Where a run's evidence is, and all of it, however long it covers."""

from __future__ import annotations

from typing import Final

from why504.errors import StoreUnavailable
from why504.model import Evidence, Window
from why504.stores.parquet import ParquetStore

OURS: Final = "store"
"""Folder of our evidence, below that of the run."""
STOCK: Final = "stock"
"""Folder of what stock OpenTelemetry sent."""


def everything(store: ParquetStore) -> Evidence:
    """Return the whole evidence of a store; nothing while it has none."""
    try:
        extent = store.extent()
        return store.evidence(extent) if extent else Evidence(Window(0, 0))
    except StoreUnavailable:
        return Evidence(Window(0, 0))
    except RuntimeError as error:
        # What DuckDB makes of ctrl-C.
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from error
        raise
