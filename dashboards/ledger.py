"""The router's ledger as the explorer sees it: where it is, and what fired when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dashboards.settings import Settings
from why504.alerts.alert import Alert
from why504.alerts.kept.reading import Reading
from why504.errors import LedgerUnreadable
from why504.model import Incident, Window

NAME: Final = "alerts.sqlite"
"""What `why504 alerts serve` calls it."""
_RULES_ARE_LATE_NS: Final = 300 * 10**9


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
    return [(alert.starts_ns, alert.name) for alert in _fired(ledger_path, window)]


def levels_of(ledger_path: Path | None, incidents: Sequence[Incident]) -> dict[str, str]:
    """Return the gravest alert's level, `P0` to `P2`, by id of incidents that raised any.

    An alert belongs to an incident if it began while that lasted, or within five minutes after:
    rules look at minutes, and wait before they fire.
    """
    if not incidents:
        return {}
    first_ns = min(incident.window.start_ns for incident in incidents)
    last_ns = max(incident.window.end_ns for incident in incidents) + _RULES_ARE_LATE_NS
    fired = _fired(ledger_path, Window(first_ns, last_ns))
    found: dict[str, str] = {}
    for incident in incidents:
        start_ns, end_ns = incident.window.start_ns, incident.window.end_ns + _RULES_ARE_LATE_NS
        levels = [alert.level for alert in fired if start_ns <= alert.starts_ns < end_ns]
        if levels:
            found[incident.id] = min(levels).name
    return found


def _fired(ledger_path: Path | None, window: Window) -> list[Alert]:
    if ledger_path is None:
        return []
    try:
        with Reading(ledger_path) as reading:
            return reading.fired(window.start_ns, window.end_ns)
    except LedgerUnreadable:
        return []
