"""Waits for locks inside PostgreSQL, told as records: who waits, and behind whose transaction.

A connection of its own, because the application's pool may be what is exhausted. While nobody
waits, a sample is one look at pg_stat_activity: pg_locks and pg_blocking_pids() take the lock
manager's own locks. The account needs pg_monitor (or the application's own account) to see the
sessions of others. Needs PostgreSQL 14 (pg_locks.waitstart).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

import psycopg
from opentelemetry.util.types import AttributeValue
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import class_row

from why504 import names
from why504.errors import ConfigError
from why504.probe.telling.records import RecordSpan, Sender, random_ids
from why504.watch.locks import Lock, Sample, Session, lock_waits
from why504.watch.told import Ledger

APPLICATION: Final = "why504-watch"
CONNECT_TIMEOUT_S: Final = 2
SAMPLE_TIMEOUT_S: Final = 2.0
WATCHED_EVERY_NS: Final = 2_000_000_000
"""Longest that one sample takes, whatever the server does."""
LONGEST_BACKOFF_S: Final = 10.0

_LIMITS: Final = """
    SET statement_timeout = 500; SET lock_timeout = 200; SET default_transaction_read_only = on;
    SET idle_session_timeout = 0; SET jit = off
"""
_ANYBODY: Final = """
    SELECT clock_timestamp_us, EXISTS (
        SELECT FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND datname = current_database())
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) _ (clock_timestamp_us)
"""
# Of a queue of n every waiter is asked for its blockers: n * n rows, so n is bounded.
_SESSIONS: Final = """
    WITH waiting AS MATERIALIZED (
        SELECT pid, pg_blocking_pids(pid) AS blockers FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND datname = current_database()
        ORDER BY query_start LIMIT 200)
    SELECT pid,
        coalesce(nullif(application_name, ''), backend_type, '') AS application,
        coalesce(usename, '') AS "user",
        coalesce(state, '') AS state,
        coalesce(nullif(query, '<insufficient privilege>'), '') AS query,
        (extract(epoch FROM query_start) * 1000000)::bigint AS query_start_us,
        (extract(epoch FROM xact_start) * 1000000)::bigint AS xact_start_us,
        (extract(epoch FROM state_change) * 1000000)::bigint AS state_change_us,
        coalesce(blockers, '{}') AS blockers
    FROM pg_stat_activity LEFT JOIN waiting USING (pid)
    WHERE blockers IS NOT NULL OR pid IN (SELECT unnest(blockers) FROM waiting)
"""
# What is waited for, and what tells the table of a row: tuple locks and tables open for writing.
_LOCKS: Final = """
    SELECT held.pid, locktype, granted, relname AS relation,
        (extract(epoch FROM waitstart) * 1000000)::bigint AS waitstart_us
    FROM pg_locks held
    LEFT JOIN pg_database ON pg_database.oid = held.database AND datname = current_database()
    LEFT JOIN pg_class ON pg_class.oid = held.relation AND pg_database.oid IS NOT NULL
    WHERE held.pid = ANY(%s) AND (NOT granted OR locktype = 'tuple' OR (
        locktype = 'relation' AND mode <> 'AccessShareLock' AND relkind IN ('r', 'p')
        AND relnamespace <> 'pg_catalog'::regnamespace))
"""


class PostgresWatch:
    """Watches one database for waits on locks and sends them as records."""

    def __init__(self, dsn: str, sender: Sender, *, interval_s: float = 1.0) -> None:
        """Remember what to watch; nothing is opened before `run`.

        Raises:
            ConfigError: `dsn` is not a connection string of PostgreSQL.
        """
        try:
            parts = conninfo_to_dict(dsn)
        except psycopg.ProgrammingError:
            # The parser's own message may repeat the password.
            raise ConfigError(
                "not a PostgreSQL address; write postgresql://user@host:5432/name"
            ) from None
        self._dsn = dsn
        self._sender = sender
        self._interval_s = interval_s
        host, port = (
            str(parts.get(part) or usual).partition(",")[0]
            for part, usual in (("host", "localhost"), ("port", 5432))
        )
        attributes: dict[str, AttributeValue] = {
            names.DB_SYSTEM: "postgresql",
            names.DB_NAMESPACE: str(parts.get("dbname") or ""),
            names.SERVER_ADDRESS: host,
            names.SERVER_PORT: int(port),
        }
        self._attributes = attributes
        self._watched_ns = 0
        """Until when it is told that the locks were watched; 0 = not since the last failure."""
        self._ledger = Ledger(f"{host}:{port}", attributes, interval_s=interval_s)

    def run(self, stop: threading.Event) -> None:
        """Sample until `stop` is set; a database that fails is tried again, ever more seldom."""
        backoff_s = self._interval_s
        while not stop.is_set():
            try:
                with closing(self._connect()) as connection:
                    while not stop.is_set():
                        self._sample(connection)
                        backoff_s = self._interval_s
                        stop.wait(self._interval_s)
            except psycopg.Error:
                self._watched_ns = 0
                stop.wait(backoff_s)
                backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(
            self._dsn,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name=APPLICATION,
        )
        try:
            with _at_most(SAMPLE_TIMEOUT_S, connection):
                connection.execute(_LIMITS)
        except psycopg.Error:
            connection.close()
            raise
        return connection

    def _sample(self, connection: psycopg.Connection) -> None:
        with _at_most(SAMPLE_TIMEOUT_S, connection):
            before_ns = time.time_ns()
            row = connection.execute(_ANYBODY).fetchone()
            after_ns = time.time_ns()
            assert row is not None  # noqa: S101 a SELECT without FROM has one row
            now_us, anybody = row
            sample = _read(connection, now_us) if anybody else Sample(now_us)
        offset_ns = now_us * 1000 - (before_ns + after_ns) // 2
        waits = lock_waits(sample, self._ledger.heads())
        for record in self._ledger.tell(waits, now_us=now_us, offset_ns=offset_ns):
            self._sender.send(record)
        self._tell_watched(before_ns)

    def _tell_watched(self, now_ns: int) -> None:
        """Say that the locks were watched: without that, no lock seen would mean nothing."""
        if self._watched_ns == 0:
            self._watched_ns = now_ns
        if now_ns - self._watched_ns < WATCHED_EVERY_NS:
            return
        ids = random_ids()
        self._sender.send(
            RecordSpan(
                names.LOCKS_WATCHED,
                ids.generate_trace_id(),
                ids.generate_span_id(),
                None,
                self._watched_ns,
                now_ns,
                self._attributes,
            )
        )
        self._watched_ns = now_ns


def _read(connection: psycopg.Connection, now_us: int) -> Sample:
    with connection.cursor(row_factory=class_row(Session)) as cursor:
        sessions = cursor.execute(_SESSIONS).fetchall()
    pids = [session.pid for session in sessions]
    with connection.cursor(row_factory=class_row(Lock)) as cursor:
        locks = cursor.execute(_LOCKS, [pids]).fetchall()
    return Sample(now_us, sessions, locks)


@contextmanager
def _at_most(seconds: float, connection: psycopg.Connection) -> Iterator[None]:
    """Cut the connection if the block takes longer, so that it fails instead of waiting for ever.

    statement_timeout is kept by the server, and a frozen server keeps nothing; its kernel still
    acknowledges, so TCP's own limits see nothing either.
    """
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        timer = threading.Timer(seconds, _cut, [line])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _cut(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:  # closed meanwhile: what it should end has ended
        return
