"""A receiver in a process of its own, for tests; killed when its test ends, whatever happens.

Imports take a second, so one parent imports everything and forks a receiver a request.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ZYGOTE = """
import json, os, resource, signal, sys
import duckdb, httptools, pandas, pyarrow.parquet, uvicorn, uvloop
from pathlib import Path
import why504.receive.app, why504.receive.spool
from why504.errors import Why504Error
from why504.receive.server import serve

def child(order):
    if "file_limit" in order:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_limit"], resource.RLIM_INFINITY))
    tell = lambda port, _: print(json.dumps({"pid": os.getpid(), "port": port}), flush=True)
    try:
        serve(Path(order["folder"]), port=order.get("port", 0), ready=tell)
    except Why504Error as error:
        print(json.dumps({"pid": os.getpid(), "error": repr(error)}), flush=True)

print("ready", flush=True)
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        sys.stdin.close()
        try:
            child(json.loads(line))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    print("gone", flush=True)
"""


@dataclass
class Running:
    """One receiver: `port` is 0 and `error` says why when it would not start."""

    pid: int
    port: int
    error: str
    _replies: IO[str]

    def stop(self, sign: int) -> None:
        """Send a signal and wait until the process is gone."""
        os.kill(self.pid, sign)
        self.wait()

    def wait(self) -> None:
        assert self._replies.readline() == "gone\n"


class Receivers:
    """Starts receivers, one at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        assert process.stdout
        self._orders, self._replies = process.stdin, process.stdout
        assert self._replies.readline() == "ready\n"

    def start(self, folder: Path, **order: int) -> Running:
        self._orders.write(json.dumps({"folder": str(folder)} | order) + "\n")
        self._orders.flush()
        told = json.loads(self._replies.readline())
        return Running(told["pid"], told.get("port", 0), told.get("error", ""), self._replies)


@contextmanager
def receivers() -> Iterator[Receivers]:
    process = subprocess.Popen(
        [sys.executable, "-c", ZYGOTE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": "src"},
    )
    with process:
        try:
            yield Receivers(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
