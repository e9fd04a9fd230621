"""Changes as the ledger has them, each with what is known of its incident."""

from __future__ import annotations

import json
from typing import Any, Final

from why504.alerts.alert import Alert, Level
from why504.alerts.kept.database import Database
from why504.alerts.kept.message import Change, Unsent

_SELECT: Final = (
    "SELECT c.id, c.level, c.document, c.taken_ns, i.key, i.service, i.opened_ns, i.level, i.told,"
    " i.woken, EXISTS (SELECT 1 FROM alerts a WHERE a.incident = i.key AND a.status = 'firing')"
    " FROM changes c JOIN incidents i ON i.key = c.incident WHERE "
)


def read_unsent(database: Database, where: str, *values: Any) -> list[Unsent]:
    """Return the changes `c` of incidents `i` for which a condition holds, in its order."""
    return [_unsent(row) for row in database.all(_SELECT + where, *values)]


def read_quiet(database: Database, before_ns: int, most: int) -> list[Change]:
    """Return the P2 changes that were taken before a time and that no digest told."""
    rows = database.all(
        "SELECT id, document, taken_ns FROM changes"
        " WHERE message IS NULL AND level = ? AND taken_ns < ? ORDER BY id LIMIT ?",
        Level.P2,
        before_ns,
        most,
    )
    return [change(*row) for row in rows]


def change(number: int, document: str, taken_ns: int) -> Change:
    """Return a change as a row has it."""
    return Change(number, Alert(**json.loads(document)), taken_ns)


def _unsent(row: tuple[Any, ...]) -> Unsent:
    number, level, document, taken_ns, key, service, opened_ns, worst, told, woken, live = row
    return Unsent(
        change=change(number, document, taken_ns),
        level=Level(level),
        incident=key,
        service=service,
        opened_ns=opened_ns,
        incident_level=Level(worst),
        told=told,
        woken=bool(woken),
        live=bool(live),
    )
