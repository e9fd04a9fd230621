"""The router's ledger as the explorer sees it: where it is, and what fired when."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dashboards.settings import Settings
from why504.alerts.kept.reading import Reading
from why504.errors import LedgerUnreadable
from why504.model import Window

NAME: Final = "alerts.sqlite"
"""What `why504 alerts serve` calls it."""


def ledger_of(settings: Settings) -> Path | None:
    """Return the file that is named, else one in or beside the store, else None.

    What is named may not be there; what is found is.
    """
    if settings.ledger is not None:
        return settings.ledger
    if settings.store is None:
        return None
    near = (settings.store / NAME, settings.store.absolute().parent / NAME)
    return next((file for file in near if file.is_file()), None)


def alerts_in(ledger_path: Path | None, window: Window) -> list[tuple[int, str]]:
    """Return when alerts began within a window, and their names, the first ones first.

    Unix nanoseconds; at most 1,000, no heartbeats. Names are strangers' text. Empty, too, where
    there is no ledger or it can't be read: the page `alerts` says why.
    """
    if ledger_path is None:
        return []
    try:
        with Reading(ledger_path) as reading:
            fired = reading.fired(window.start_ns, window.end_ns)
    except LedgerUnreadable:
        return []
    return [(alert.starts_ns, alert.name) for alert in fired]
