"""Rows as PostgreSQL returns them for the queues of the tests."""

from __future__ import annotations

from why504.watch.locks import Lock, Session

NOW_US = 1_000_000_000_000_000
S = 1_000_000


def session(pid: int, blockers: tuple[int, ...] = (), *, began_s: float = 10, **changed) -> Session:
    """A session whose transaction began `began_s` ago."""
    began_us = NOW_US - int(began_s * S)
    values = {
        "application": "app",
        "user": "svc",
        "state": "active" if blockers else "idle in transaction",
        "query": f"UPDATE t SET n = {pid}",
        "query_start_us": began_us,
        "xact_start_us": began_us,
        "state_change_us": began_us,
    }
    return Session(pid, blockers=blockers, **{**values, **changed})


def on_tuple(pid: int, relation: str = "t", since_us: int | None = NOW_US - 5 * S) -> Lock:
    """A waiter in the queue for a row: PostgreSQL knows the table."""
    return Lock(pid, "tuple", False, relation, since_us)


def first_for_row(pid: int, relation: str = "t", since_us: int = NOW_US - 5 * S) -> list[Lock]:
    """The first in the queue: has the tuple lock, waits for the transaction that has the row."""
    return [
        Lock(pid, "tuple", True, relation, None),
        Lock(pid, "relation", True, relation, None),
        Lock(pid, "transactionid", False, None, since_us),
    ]
