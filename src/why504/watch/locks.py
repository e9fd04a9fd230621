"""Who waits for a lock of PostgreSQL, and whose transaction is at the head of the queue.

Pure: rows of pg_stat_activity, pg_blocking_pids() and pg_locks in, one LockWait a waiter out.
A row lock makes its first waiter a blocker of all that follow, so blockers are followed to the
end of the queue before anybody is named. Source: PostgreSQL manual, sections 27.2, 53.13, 9.27.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from why504 import names

PREPARED: Final = 0
"""What pg_blocking_pids() says of a prepared transaction: it has no session."""


@dataclass(frozen=True, slots=True)
class Session:
    """A row of pg_stat_activity; times are microseconds since 1970 on the server's clock."""

    pid: int
    application: str
    user: str
    state: str
    query: str
    query_start_us: int | None
    xact_start_us: int | None
    state_change_us: int | None
    blockers: Sequence[int] = ()
    """Empty when it does not wait."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A row of pg_locks, of a waiter or of a blocker."""

    pid: int
    locktype: str
    granted: bool
    relation: str | None
    """Name without schema; None where the lock is on no relation of this database."""
    waitstart_us: int | None
    """PostgreSQL leaves it empty for a moment after the wait began."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one moment."""

    now_us: int
    """The moment on the server's clock."""
    sessions: Sequence[Session] = ()
    locks: Sequence[Lock] = ()


@dataclass(frozen=True, slots=True)
class LockWait:
    """A session that waits, behind the one at the head of its queue."""

    waiter: Session
    head: Session
    resource: str
    since_us: int | None
    """When it began to wait, if the server says so."""


def lock_waits(sample: Sample, preferred: Mapping[int, int]) -> list[LockWait]:
    """Return every waiter behind one head, by pid.

    Args:
        sample: what was seen.
        preferred: waiter's pid -> head named before; kept while it is still one of several heads,
            so that a wait does not change its name without need.

    Returns:
        Nothing for a waiter that had its lock, or whose head was gone, when the rest was read.
    """
    sessions = {session.pid: session for session in sample.sessions}
    blockers = {pid: session.blockers for pid, session in sessions.items() if session.blockers}
    sessions.setdefault(PREPARED, _prepared_transaction())
    locks = _by_pid(sample.locks)
    found = []
    for pid in sorted(blockers):
        candidates = [sessions[head] for head in heads(pid, blockers) if head in sessions]
        awaited = next((lock for lock in locks.get(pid, ()) if not lock.granted), None)
        if awaited is None or not candidates:
            continue
        head = min(candidates, key=lambda one: (one.pid != preferred.get(pid), _age_order(one)))
        relation = _relation(awaited, locks[pid], locks.get(head.pid, ()))
        resource = names.db_lock(relation, head.pid)
        found.append(LockWait(sessions[pid], head, resource, awaited.waitstart_us))
    return found


def heads(pid: int, blockers: Mapping[int, Sequence[int]]) -> set[int]:
    """Return the pids that do not wait themselves and that `pid` waits for, however indirectly.

    In a deadlock that PostgreSQL has not broken yet there is none: then the direct blockers.
    """
    seen: set[int] = set()
    ahead = list(blockers[pid])
    while ahead:
        blocker = ahead.pop()
        if blocker not in seen:
            seen.add(blocker)
            ahead.extend(blockers.get(blocker, ()))
    return {blocker for blocker in seen if blocker not in blockers} or set(blockers[pid])


def describe(session: Session, now_us: int) -> str:
    """Return a session for people: `psql, user postgres, idle in transaction for 41 s`."""
    parts = [session.application or "unnamed session"]
    if session.user:
        parts.append(f"user {session.user}")
    if session.state and session.state_change_us is not None:
        age_s = max(0, now_us - session.state_change_us) // 1_000_000
        parts.append(f"{session.state} for {age_s} s")
    return ", ".join(parts)


def _prepared_transaction() -> Session:
    return Session(PREPARED, "prepared transaction", "", "", "", None, None, None)


def _age_order(session: Session) -> tuple[float, int]:
    started_us = session.xact_start_us
    return (float("inf") if started_us is None else started_us, session.pid)


def _by_pid(locks: Iterable[Lock]) -> dict[int, list[Lock]]:
    grouped: dict[int, list[Lock]] = {}
    for lock in locks:
        grouped.setdefault(lock.pid, []).append(lock)
    return grouped


def _relation(awaited: Lock, waiters: Sequence[Lock], heads_: Sequence[Lock]) -> str:
    """Name what a waiter waits for: its lock says so, or what else it has locked does.

    Who waits for a row waits for the transaction that has it, and the first in the queue says
    which row by holding its tuple lock. Without that, a table that both have locked is named
    if there is only one: a guess between two would be a wrong answer.
    """
    if awaited.relation is not None:
        return awaited.relation
    if awaited.locktype not in ("transactionid", "virtualxid"):
        return awaited.locktype
    tuples = _relations(waiters, "tuple")
    shared = _relations(waiters, "relation") & _relations(heads_, "relation")
    certain = next((found for found in (tuples, shared) if len(found) == 1), {"transaction"})
    return certain.pop()


def _relations(locks: Sequence[Lock], locktype: str) -> set[str]:
    return {lock.relation for lock in locks if lock.locktype == locktype and lock.relation}
