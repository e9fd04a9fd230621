"""Why P0s burn and what they did, counted by cause: what dashboards show, read from the ledger.

Whatever is told is bounded: services are texts of strangers, of which the latest are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from why504.alerts.alert import Level
from why504.alerts.kept.database import Database

UNKNOWN: Final = "UNKNOWN"
MOST_SERVICES: Final = 20
"""Those whose P0 began last; each has a series a cause."""
Counts = Mapping[tuple[str, str], int]
"""(service, cause) -> how many."""


class Causes:
    """The part of the ledger that counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def services(self) -> list[str]:
        """Return the services that had a P0, those of the latest, in alphabetical order."""
        rows = self._database.all(
            "SELECT service FROM incidents WHERE level = ? GROUP BY service"
            " ORDER BY max(opened_ns) DESC LIMIT ?",
            Level.P0,
            MOST_SERVICES,
        )
        return sorted(row[0] for row in rows)

    def burning(self) -> Counts:
        """Return how many P0 incidents burn; UNKNOWN is the cause until one was found."""
        return self._counts(
            "SELECT service, coalesce(json_extract(f.document, '$.cause'), ?2), count(*)"
            " FROM incidents i LEFT JOIN findings f ON f.incident = i.key WHERE level = ?1"
            " AND EXISTS (SELECT 1 FROM alerts WHERE incident = i.key AND status = 'firing')"
            " GROUP BY 1, 2",
            Level.P0,
            UNKNOWN,
        )

    def timed_out(self) -> Counts:
        """Return how many requests timed out in all P0 incidents that are over."""
        return self._counts(
            "SELECT service, told.key, sum(told.value) FROM incidents i"
            " JOIN aftermaths a ON a.incident = i.key, json_each(a.document, '$.causes') told"
            " GROUP BY 1, 2"
        )

    def _counts(self, query: str, *values: int | str) -> Counts:
        told = set(self.services())
        rows = self._database.all(query, *values)
        return {(service, cause): count for service, cause, count in rows if service in told}
