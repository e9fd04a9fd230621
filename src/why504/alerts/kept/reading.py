"""What somebody who only looks wants to know of a ledger; a router may be at work on it meanwhile.

Whatever is read here was once a stranger's text, or what became of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from why504.alerts.alert import Alert, Level
from why504.alerts.kept.acknowledgements import Acknowledgements
from why504.alerts.kept.incidents import Incidents
from why504.alerts.kept.ledger import MOST_QUIET
from why504.alerts.kept.message import Change
from why504.alerts.kept.readonly import ReadOnly
from why504.alerts.kept.unsent import read_quiet
from why504.alerts.rooms.finding import Finding
from why504.errors import LedgerUnreadable

WAITING: Final = "waiting"
DELIVERED: Final = "delivered"
DEAD: Final = "dead"
STATES: Final = (DELIVERED, WAITING, DEAD)
_MESSAGES: Final = (
    "SELECT request_id, level, state, attempts, frozen_ns, ended_ns, reason, body, room,"
    " (SELECT min(taken_ns) FROM changes WHERE message = m.id),"
    " (SELECT count(*) FROM changes WHERE message = m.id) FROM messages m WHERE "
)
_LATEST_NS: Final = 2**63
_BURNING: Final = 500
_FIRED: Final = 1_000


class Sent(NamedTuple):
    """One message and what became of it, without the alerts that it tells."""

    request_id: str
    level: Level
    state: str
    attempts: int
    frozen_ns: int
    """When it was written."""
    ended_ns: int | None
    """When it was in the room, or given up."""
    reason: str
    body: str
    """JSON of Google Chat."""
    room: str
    taken_ns: int | None
    """When the first of its alerts was taken; None for what tells of no change."""
    alerts: int
    """How many changes of alerts it tells."""


@dataclass(frozen=True, slots=True)
class Burning:
    """An alert that fires now."""

    alert: Alert
    incident: str
    """Key of its incident; empty for a P2."""
    by: str | None
    """Who looks after it, a stranger's word, empty if they gave no name; None: nobody."""
    acknowledged_ns: int | None


class Reading:
    """One look at a ledger: open it, ask, close it; leaves no trace."""

    def __init__(self, file: Path) -> None:
        """Open the file.

        Raises:
            LedgerUnreadable: this version can't read it, or there is none.
        """
        self._database = ReadOnly(file)
        self._acknowledgements = Acknowledgements(self._database)
        self._incidents = Incidents(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def messages(self, most: int, *, level: Level | None = None, state: str = "") -> list[Sent]:
        """Return the last messages, the newest first; raises as all here do.

        Args:
            level: only those of this one.
            state: only those in this one.

        Raises:
            LedgerUnreadable: they can't be read now.
        """
        return self._messages("(?1 IS NULL OR level = ?1) AND (?2 = '' OR state = ?2)"
                              " ORDER BY id DESC LIMIT ?3", level, state, most)  # fmt: skip

    def message(self, request_id: str) -> Sent | None:
        """Return one message."""
        return next(iter(self._messages("request_id = ?", request_id)), None)

    def _messages(self, where: str, *values: Any) -> list[Sent]:
        rows = self._database.all(_MESSAGES + where, *values)
        return [Sent(row[0], Level(row[1]), *row[2:]) for row in rows]

    def told(self, request_id: str, most: int) -> list[tuple[Alert, str]]:
        """Return the alerts that a message tells, each with the key of its incident."""
        rows = self._database.all(
            "SELECT document, incident FROM changes WHERE message ="
            " (SELECT id FROM messages WHERE request_id = ?) ORDER BY id LIMIT ?",
            request_id,
            most,
        )
        return [(_alert(document), incident) for document, incident in rows]

    def states(self) -> dict[str, int]:
        """Return how many messages are in each state, of all rooms."""
        rows = self._database.all("SELECT state, count(*) FROM messages GROUP BY state")
        return dict.fromkeys(STATES, 0) | {state: number for state, number in rows}

    def burning(self) -> list[Burning]:
        """Return the alerts that fire now, the most urgent first, at most 500; no heartbeats."""
        rows = self._database.all(
            "SELECT document, incident FROM alerts WHERE status = 'firing'"
            " ORDER BY starts_ns DESC LIMIT ?",
            _BURNING,
        )
        told = [(_alert(document), incident) for document, incident in rows]
        told = [(alert, key) for alert, key in told if alert.level is not Level.HEARTBEAT]
        keys = list(dict.fromkeys(key for _, key in told if key))
        answered = {one.key: one for one in self._acknowledgements.of(keys)}
        found = []
        for alert, key in told:
            by = answered.get(key)
            found.append(Burning(alert, key, by and by.by, by and by.at_ns))
        return sorted(found, key=lambda one: (one.alert.level, -one.alert.starts_ns))

    def quiet(self, before_ns: int) -> list[Change]:
        """Return what waits for the next digest."""
        with _readable():
            return read_quiet(self._database, before_ns, MOST_QUIET)

    def finding(self, incident: str) -> Finding | None:
        """Return why an incident burns, if that is known: it names the incident of the explorer."""
        with _readable():
            return self._incidents.finding(incident) if incident else None

    def fired(self, start_ns: int, end_ns: int) -> list[Alert]:
        """Return the alerts that began within a time, the first ones first, at most 1,000."""
        rows = self._database.all(
            "SELECT document FROM alerts WHERE starts_ns >= ? AND starts_ns < ?"
            " ORDER BY starts_ns LIMIT ?",
            start_ns,
            end_ns,
            _FIRED,
        )
        told = [_alert(document) for (document,) in rows]
        return [alert for alert in told if alert.level is not Level.HEARTBEAT]


def _alert(document: str) -> Alert:
    with _readable():
        alert = Alert(**json.loads(document))
        told = [*alert.labels.items(), *alert.annotations.items()]
        if not all(isinstance(text, str) for pair in told for text in pair):
            raise ValueError("a label is no text")
        times = (alert.starts_ns, alert.ends_ns or 0)
        if not all(isinstance(time_ns, int) and 0 <= time_ns < _LATEST_NS for time_ns in times):
            raise ValueError("a time is none")
        if not isinstance(alert.fingerprint, str) or not isinstance(alert.status, str):
            raise ValueError("its identity is none")
        return alert


@contextmanager
def _readable() -> Iterator[None]:
    """Say it clearly where what others wrote is no JSON, or JSON of something else."""
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        raise LedgerUnreadable("unreadable", f"an alert is not as it should be: {error}") from error
