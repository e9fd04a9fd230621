"""The same service without the probe: what a hung process needs anyway."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.faults import ROOT
from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start
from lab.stack.ready import listens
from lab.strangers.table import SERVICES, Calls, Stranger

_STUB: Final = '"""Stands in for why504."""\n\n\ndef instrument(app, **options):\n    return None\n'


@dataclass(frozen=True, slots=True)
class Bare:
    """A running one."""

    process: Process
    port: int

    @contextmanager
    def hung(self, calls: Calls) -> Iterator[None]:
        """Send the requests, and keep their connections while the block lasts."""
        with ExitStack() as stack:
            for n in range(1, calls.many + 1):
                line = f"{calls.method} {calls.path.format(n=n)} HTTP/1.1\r\nHost: bare\r\n\r\n"
                connection = socket.create_connection(("127.0.0.1", self.port))
                stack.enter_context(connection)
                connection.sendall(line.encode())
            yield


@contextmanager
def bare(stranger: Stranger, folder: Path, environment: Mapping[str, str]) -> Iterator[Bare]:
    """Serve a stranger that imports a why504 which does nothing."""
    (folder / "bare").mkdir(parents=True)
    (folder / "bare" / "why504.py").write_text(_STUB, encoding="utf-8")
    port = free_port()
    argv = [sys.executable, *(part.format(port=port) for part in stranger.serve)]
    path = {"PYTHONPATH": f"{folder / 'bare'}:{ROOT / SERVICES}"}
    program = Program(argv, "bare", folder, {**environment, **path})
    process = start(program, ready=listens(port), timeout_s=60)
    try:
        yield Bare(process, port)
    finally:
        process.kill()
