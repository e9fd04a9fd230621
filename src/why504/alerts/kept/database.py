"""SQLite as the ledger needs it: every commit synced, one transaction at a time, clear errors."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final

from why504.errors import AlertsUnavailable

_BUSY_S: Final = 10.0
"""For how long another process may have the file."""
_ROWS: Final = 100
"""In one statement; SQLite takes a limited number of values."""

Row = tuple[Any, ...]


class Database:
    """One file; for many threads."""

    def __init__(self, file: Path, schema: str, migrations: Sequence[Sequence[str]] = ()) -> None:
        """Open or create the file.

        Args:
            schema: makes what is not there; run each time.
            migrations: change what is there; each is run once a file, in this order.

        Raises:
            AlertsUnavailable: the disk refuses, or the file is no such database.
        """
        self._lock = threading.RLock()
        self._writer: int | None = None
        """The thread whose transaction is open."""
        self._read_lock = threading.Lock()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connected(file)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(schema)
            self._migrate(migrations)
            # Of its own, so that nobody who has an alert to be kept waits for somebody who reads.
            self._reading = _connected(file)
            self._reading.execute("PRAGMA query_only = ON")
        except (OSError, sqlite3.Error, AlertsUnavailable) as error:
            raise AlertsUnavailable(f"can't keep alerts in {file}: {error}") from error

    def _migrate(self, migrations: Sequence[Sequence[str]]) -> None:
        with self.transaction():
            (done,) = self._connection.execute("PRAGMA user_version").fetchone()
            for statement in (one for many in migrations[done:] for one in many):
                self._connection.execute(statement)
            if done < len(migrations):
                self._connection.execute(f"PRAGMA user_version = {len(migrations)}")

    def close(self) -> None:
        """Close the file."""
        self._reading.close()
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside durable, or nothing of it.

        Raises:
            AlertsUnavailable: nothing of it is.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._writer = threading.get_ident()
                yield
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise AlertsUnavailable(f"alerts can't be kept: {error}") from error
            finally:
                self._writer = None
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Change something, inside a transaction."""
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, values: Sequence[Sequence[Any]]) -> None:
        """Change many things, inside a transaction."""
        self._connection.executemany(statement, values)

    def many(self, statement: str, rows: Sequence[Row], *values: Any) -> list[Row]:
        """Run a statement for many rows at once, inside a transaction; return what it finds.

        Args:
            statement: with `{}` where the rows go, and the values behind them.
        """
        found: list[Row] = []
        for first in range(0, len(rows), _ROWS):
            some = rows[first : first + _ROWS]
            marks = ",".join([f"({','.join('?' * len(some[0]))})"] * len(some))
            told = [*chain.from_iterable(some), *values]
            found += self._connection.execute(statement.format(marks), told).fetchall()
        return found

    def all(self, statement: str, *values: Any) -> list[Row]:
        """Return all rows: of what is durable, inside a transaction of what it changed too.

        Raises:
            AlertsUnavailable: they can't be read.
        """
        try:
            if self._writer == threading.get_ident():
                return self._connection.execute(statement, values).fetchall()
            with self._read_lock:
                return self._reading.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise AlertsUnavailable(f"alerts can't be read: {error}") from error

    def one(self, statement: str, *values: Any) -> Row | None:
        """Return the first row, if there is one; raises as `all` does."""
        return next(iter(self.all(statement, *values)), None)


def _connected(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
