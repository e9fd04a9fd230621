"""What has been told of lock waits and what is to be told now: open again and again, final once.

Pure but for its own memory. Rules: docs/how-evidence-travels.md, "Open and final".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe.clients.literals import without_literals
from why504.probe.telling.records import RecordSpan
from why504.probe.telling.rhythm import Rhythm, Telling
from why504.watch.locks import LockWait, describe

RHYTHMS: Final = {
    names.WAIT: Rhythm(first_s=1.0, longest_s=300.0),
    # What is open counts until its instance was last heard of, and nothing but these records
    # comes from here: one row every 5 s for each queue keeps all of its waits up to date.
    names.HOLD: Rhythm(first_s=1.0, longest_s=5.0),
}

Key = tuple[str, int, int | None, str]
"""Kind, pid, start of its statement (wait) or transaction (hold), resource."""


@dataclass(slots=True)
class _Open:
    kind: str
    pid: int
    resource: str
    digest: bytes
    """Its ids: 16 bytes of trace, 8 of span."""
    start_ns: int
    last_seen_ns: int
    telling: Telling
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


class Ledger:
    """What is open on one server."""

    def __init__(
        self, server: str, attributes: Mapping[str, AttributeValue], *, interval_s: float
    ) -> None:
        """Start with nothing open; `attributes` go onto every record."""
        self._server = server
        self._attributes = attributes
        self._interval_ns = int(interval_s * 1e9)
        self._open: dict[Key, _Open] = {}

    def heads(self) -> dict[int, int]:
        """Return the head that was named for each open wait: waiter's pid -> head's pid."""
        waits = (one for one in self._open.values() if one.kind == names.WAIT)
        return {wait.pid: int(wait.resource.rpartition("#")[2]) for wait in waits}

    def tell(self, waits: Sequence[LockWait], *, now_us: int, offset_ns: int) -> list[RecordSpan]:
        """Return the records due now: finals of what is gone, snapshots of what is open.

        Args:
            waits: all that wait now.
            now_us: now on the server's clock, Unix microseconds.
            offset_ns: server's clock minus local clock.
        """
        now_ns = now_us * 1000 - offset_ns
        present = {_wait_key(wait) for wait in waits} | {_hold_key(wait) for wait in waits}
        gone = [key for key in self._open if key not in present]
        finals = {key: self._final(self._open.pop(key), now_ns) for key in gone}
        moved_ns = {key[:3]: final.end_ns for key, final in finals.items()}
        for wait in waits:
            key = _wait_key(wait)
            start_ns = now_ns if wait.since_us is None else wait.since_us * 1000 - offset_ns
            # A queue whose head changed: the same wait goes on, behind somebody else.
            start_ns = min(now_ns, max(start_ns, moved_ns.get(key[:3], 0)))
            self._see(key, start_ns, now_ns=now_ns, since_us=wait.since_us or now_us)
        for wait in _oldest_first(waits):
            began_us = wait.head.xact_start_us
            first_ns = self._open[_wait_key(wait)].start_ns
            hold_ns = first_ns if began_us is None else began_us * 1000 - offset_ns
            since_us = wait.since_us or now_us
            hold = self._see(
                _hold_key(wait), min(now_ns, hold_ns), now_ns=now_ns, since_us=since_us
            )
            hold.attributes = _of_holder(wait, now_us)
        return [*finals.values(), *self._snapshots(now_ns)]

    def _see(self, key: Key, start_ns: int, *, now_ns: int, since_us: int) -> _Open:
        if key not in self._open:
            kind, pid, _, resource = key
            # Of the server's times only: a watcher that is started anew goes on with the same ids.
            digest = _digest(f"{self._server}|{key}|{since_us}")
            telling = Telling(now_ns / 1e9, RHYTHMS[kind], first_s=0.0)
            self._open[key] = _Open(kind, pid, resource, digest, start_ns, now_ns, telling)
        self._open[key].last_seen_ns = now_ns
        return self._open[key]

    def _snapshots(self, now_ns: int) -> list[RecordSpan]:
        rows = []
        for one in self._open.values():
            if now_ns / 1e9 < one.telling.due_s:
                continue
            sequence = one.telling.tell(now_ns / 1e9)
            more: dict[str, AttributeValue] = {
                names.OUTCOME: names.OPEN,
                names.SNAPSHOT_OF: one.digest[16:24].hex(),
                names.SNAPSHOT_SEQUENCE: sequence,
            }
            span_id = _digest(f"{one.digest.hex()}|{sequence}")[16:24]
            rows.append(self._row(one, span_id, now_ns, more))
        return rows

    def _final(self, one: _Open, now_ns: int) -> RecordSpan:
        # After a gap (the server did not answer) nobody knows when it ended: blame no more of
        # the gap on it than one sample more would have seen.
        end_ns = min(now_ns, one.last_seen_ns + 2 * self._interval_ns)
        outcome = "acquired" if one.kind == names.WAIT else "released"
        return self._row(one, one.digest[16:24], end_ns, {names.OUTCOME: outcome})

    def _row(
        self, one: _Open, span_id: bytes, end_ns: int, more: Mapping[str, AttributeValue]
    ) -> RecordSpan:
        return RecordSpan(
            name=f"{one.kind} {one.resource}",
            trace_id=int.from_bytes(one.digest[:16]),
            span_id=int.from_bytes(span_id),
            parent_id=None,
            start_ns=one.start_ns,
            end_ns=max(end_ns, one.start_ns),
            attributes={
                **self._attributes,
                names.KIND: one.kind,
                names.KEEP: True,
                names.RESOURCE: one.resource,
                names.BACKEND_PID: one.pid,
                **one.attributes,
                **more,
            },
        )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _wait_key(wait: LockWait) -> Key:
    return (names.WAIT, wait.waiter.pid, wait.waiter.query_start_us, wait.resource)


def _hold_key(wait: LockWait) -> Key:
    return (names.HOLD, wait.head.pid, wait.head.xact_start_us, wait.resource)


def _oldest_first(waits: Iterable[LockWait]) -> list[LockWait]:
    return sorted(waits, key=lambda wait: wait.since_us or float("inf"))


def _of_holder(wait: LockWait, now_us: int) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {names.LOCK_SESSION: describe(wait.head, now_us)}
    if wait.head.query:
        attributes[names.DB_QUERY] = without_literals(wait.head.query)
    return attributes
