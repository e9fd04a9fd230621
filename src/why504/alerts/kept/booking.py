"""Writes a request's alerts into the ledger: what is new of them, and what has to be told.

A statement serves many alerts, not one: at each of them Python lets another thread run, and a busy
one comes back only milliseconds later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from why504.alerts.alert import FIRING, RESOLVED, Alert, Level, as_json
from why504.alerts.guard import heartbeat
from why504.alerts.kept.database import Database, Row
from why504.alerts.kept.incidents import Incidents

TOLD_AGAIN_WITHIN_NS: Final = 5 * 3600 * 10**9
"""Alertmanager repeats each alert within four hours: what it forgot must not burn for ever."""

Identity = tuple[str, int]


class Booking:
    """Of one request, in the transaction that is open."""

    def __init__(self, database: Database, incidents: Incidents, now_ns: int) -> None:
        self._database = database
        self._incidents = incidents
        self._now_ns = now_ns
        self._known: dict[Identity, tuple[str, str]] = {}
        """Status and incident, with what is not written yet."""
        self._firing: dict[str, set[int]] = {}
        """Begins of what fires, by fingerprint."""
        self._open: dict[str, tuple[str, Level]] = {}
        """Incidents that surely go on, by service."""
        self._alerts: dict[Identity, Row] = {}
        self._changes: list[Row] = []
        self._again: dict[int | None, list[Identity]] = {}
        """What was only told again, by when that expires."""

    def book(self, told: Sequence[Alert]) -> int:
        """Write alerts; return how many of them say anything new."""
        alerts = [self._dated(one) for one in told]
        self._look_up([alert.identity for alert in alerts])
        new = sum(self._is_new(alert) for alert in alerts)
        self._write()
        return new

    def _dated(self, alert: Alert) -> Alert:
        """Return an alert with its begin, and with a time from which it is no news any more."""
        starts_ns = alert.starts_ns
        if not starts_ns:
            known = self._database.one(
                "SELECT max(starts_ns) FROM alerts WHERE fingerprint = ? AND status = 'firing'",
                alert.fingerprint,
            )
            starts_ns = (known and known[0]) or self._now_ns
        within_ns = TOLD_AGAIN_WITHIN_NS
        if alert.level is Level.HEARTBEAT:
            within_ns = heartbeat.WITHIN_NS
        expires_ns = alert.expires_ns or self._now_ns + within_ns
        return replace(alert, starts_ns=starts_ns, expires_ns=expires_ns)

    def _look_up(self, identities: Sequence[Identity]) -> None:
        known = self._database.many(
            # A join that SQLite may not turn round, or it would read all alerts for these.
            "WITH told(key, ns) AS (VALUES {}) SELECT fingerprint, starts_ns, status, incident"
            " FROM told CROSS JOIN alerts ON fingerprint = key AND starts_ns = ns",
            identities,
        )
        self._known |= {(row[0], row[1]): (row[2], row[3]) for row in known}
        firing = self._database.many(
            "SELECT fingerprint, starts_ns FROM alerts"
            " WHERE status = 'firing' AND fingerprint IN (VALUES {})",
            [(fingerprint,) for fingerprint, _ in identities],
        )
        for fingerprint, starts_ns in firing:
            self._firing.setdefault(fingerprint, set()).add(starts_ns)

    def _is_new(self, alert: Alert) -> bool:
        level = alert.level
        beats = level is Level.HEARTBEAT and alert.status == FIRING
        if beats:
            self._is_back()
        known = self._known.get(alert.identity)
        if known and (known[0] == alert.status or (known[0] == RESOLVED and not beats)):
            # Told again; or out of order, and what is over is over.
            self._note_again(alert)
            return False
        self._end_older(alert)
        incident = known[1] if known else self._incident_of(alert, level)
        document = as_json(alert)
        self._known[alert.identity] = alert.status, incident
        if alert.status == FIRING:
            self._firing.setdefault(alert.fingerprint, set()).add(alert.starts_ns)
        else:
            self._ended(alert.identity)
        self._alerts[alert.identity] = (
            *alert.identity, alert.status, incident, alert.expires_ns, document,
        )  # fmt: skip
        if level is not Level.HEARTBEAT:
            self._changes.append((level, incident, document, self._now_ns))
        return True

    def _is_back(self) -> None:
        known = self._database.one(
            "SELECT starts_ns FROM alerts WHERE fingerprint = ? AND status = 'firing'",
            heartbeat.FINGERPRINT,
        )
        if known:
            back = heartbeat.back(known[0], self._now_ns)
            self._look_up([back.identity])
            self._is_new(self._dated(back))

    def _note_again(self, alert: Alert) -> None:
        if row := self._alerts.get(alert.identity):
            self._alerts[alert.identity] = (*row[:4], alert.expires_ns, row[5])
        else:
            self._again.setdefault(alert.expires_ns, []).append(alert.identity)

    def _end_older(self, alert: Alert) -> None:
        """Note that whoever fires anew has stopped before, though nobody said so."""
        begins = self._firing.get(alert.fingerprint, ())
        older = [starts_ns for starts_ns in begins if starts_ns < alert.starts_ns]
        if older:
            self._write()
        for starts_ns in older:
            identity = (alert.fingerprint, starts_ns)
            self._database.execute(
                "UPDATE alerts SET status = 'resolved' WHERE fingerprint = ? AND starts_ns = ?",
                identity,
            )
            if known := self._known.get(identity):
                self._known[identity] = RESOLVED, known[1]
            self._ended(identity)

    def _ended(self, identity: Identity) -> None:
        self._firing.get(identity[0], set()).discard(identity[1])
        self._open.clear()

    def _incident_of(self, alert: Alert, level: Level) -> str:
        if level > Level.P1:
            return ""
        key, worst = self._open.get(alert.service, ("", level))
        if not key:
            self._write()
            key = self._incidents.of(alert)
        elif level < worst:
            self._incidents.worsen(key, level)
        if alert.status == FIRING:
            self._open[alert.service] = key, min(level, worst)
        return key

    def _write(self) -> None:
        self._database.many(
            "INSERT OR REPLACE INTO alerts(fingerprint, starts_ns, status, incident, expires_ns,"
            " document) VALUES {}",
            list(self._alerts.values()),
        )
        self._database.many(
            "INSERT INTO changes(level, incident, document, taken_ns) VALUES {}", self._changes
        )
        for expires_ns, identities in self._again.items():
            self._database.many(
                "WITH told(key, ns) AS (VALUES {}) UPDATE alerts SET expires_ns = ?"
                " WHERE fingerprint IN (SELECT key FROM told) AND (fingerprint, starts_ns) IN told",
                identities,
                expires_ns,
            )
        self._alerts, self._changes, self._again = {}, [], {}
