"""SQLite files of others, read without a trace: nothing is created, changed or kept from them.

A router may be writing meanwhile. Its file is in WAL mode: whoever reads takes part in its locks
by the files `-wal` and `-shm` beside it, which never keeps a writer waiting. Where these are not
there nobody has the file open, and opening it as usual would make them: then it is read as it
lies. Source: sqlite.org/wal.html, "Read-Only Databases", and sqlite.org/uri.html.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import Any, Final

from why504.alerts.kept.database import Database, Row
from why504.alerts.kept.schema import MIGRATIONS
from why504.errors import AlertsUnavailable, LedgerUnreadable

_BUSY_S: Final = 1.0
"""Whoever looks is told soon that the file is locked."""
_TABLES: Final = frozenset({"alerts", "changes", "messages", "incidents"})
"""What every ledger has had."""


class ReadOnly(Database):
    """A ledger's file as it is; for many threads. Close it soon."""

    def __init__(self, file: Path) -> None:
        """Open the file.

        Raises:
            LedgerUnreadable: there is none, it is no ledger, or this version can't read it.
        """
        # Not the base's: it makes and migrates the file.
        self._writer = None
        self._read_lock = threading.Lock()
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._file = file
        if not file.is_file():
            raise LedgerUnreadable("missing", f"there is no file {file}")
        try:
            self._reading = self._connection = self._opened(file)
        except (OSError, sqlite3.Error) as error:
            raise _unreadable(file, error) from error
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._reading.close()
        if self._copy is not None:
            self._copy.cleanup()

    def all(self, statement: str, *values: Any) -> list[Row]:
        """Return all rows.

        Raises:
            LedgerUnreadable: they can't be read.
        """
        try:
            return super().all(statement, *values)
        except AlertsUnavailable as error:
            raise _unreadable(self._file, error.__cause__ or error) from error

    def _opened(self, file: Path) -> sqlite3.Connection:
        log, index = (Path(f"{file}{end}") for end in ("-wal", "-shm"))
        if not _is_wal(file) or (log.is_file() and index.is_file()):
            return _connected(file)
        if not log.is_file() or not log.stat().st_size:
            return _connected(file, "&immutable=1")
        # Left over by who was killed: what is only in the log would be lost on us.
        self._copy = tempfile.TemporaryDirectory(prefix="why504-ledger-")
        copy = Path(self._copy.name) / "ledger"
        before = [(one.stat().st_mtime_ns, one.stat().st_size) for one in (file, log)]
        shutil.copy(file, copy)
        shutil.copy(log, f"{copy}-wal")
        if before != [(one.stat().st_mtime_ns, one.stat().st_size) for one in (file, log)]:
            raise LedgerUnreadable("locked", f"{file} is being written by one who has it alone")
        return _connected(copy)

    def _check(self) -> None:
        version = self.all("PRAGMA user_version")[0][0]
        known = {name for (name,) in self.all("SELECT name FROM sqlite_master")}
        told = f"{self._file} has version {version} of the tables"
        if not known >= _TABLES:
            raise LedgerUnreadable("no_ledger", f"{self._file} is no ledger of alerts")
        if version != len(MIGRATIONS):
            raise LedgerUnreadable("newer" if version > len(MIGRATIONS) else "older", told)


def _is_wal(file: Path) -> bool:
    """Return whether its header says so: the file format's version for reading is 2."""
    with file.open("rb") as told:
        return told.read(20)[19:] == b"\x02"


def _connected(file: Path, more: str = "") -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=ro{more}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_S,
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def _unreadable(file: Path, error: BaseException) -> LedgerUnreadable:
    code = getattr(error, "sqlite_errorcode", None)
    why = _WHY.get(code & 0xFF, "unreadable") if isinstance(code, int) else "unreadable"
    if "no such" in str(error):
        why = "older"
    return LedgerUnreadable(why, f"{file}: {error}")


_WHY: Final = {
    sqlite3.SQLITE_NOTADB: "no_ledger",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
}
"""Primary result code -> `LedgerUnreadable.why`."""
