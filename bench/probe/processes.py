"""The processes of a run: one a variant, and the collector that all of them send to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, Self

from bench.probe.variants import PEERS, VARIANTS

SHM: Final = Path("/dev/shm")  # noqa: S108 - of memory, so that no disk is measured

_LAST: Final = 2_000
"""Characters of what a process said, when it has ended."""


class Sink:
    """The collector; `url` has a port for each manner."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "bench.probe.sink"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._ports: dict[str, int] = json.loads(next(iter(self._process.stdout or ())))
        self._asking = HTTPConnection("127.0.0.1", self._ports["healthy"], timeout=60)

    def url(self, sender: str, manner: str = "healthy") -> str:
        """Return where a sender finds the collector in one of its manners."""
        return f"http://127.0.0.1:{self._ports[manner]}/{sender}"

    def received(self, sender: str) -> Mapping[str, int]:
        """Return the requests, bytes and spans of a sender so far."""
        self._asking.request("GET", "/")
        told: dict[str, dict[str, int]] = json.load(self._asking.getresponse())
        return told.get(sender, {"requests": 0, "bytes": 0, "spans": 0})

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


class Served:
    """A variant that serves; see `child.py` for what can be asked of it."""

    def __init__(self, variant: str, sink: str, folder: Path, core: int | None = None) -> None:
        self.variant = variant
        command = [sys.executable, "-m", "bench.probe.child", variant, sink, str(folder)]
        self._said = folder / "stderr"
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                _on(core) + command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=_environment(variant),
            )
        self.pid = self._process.pid
        self.port = self.metrics_port = -1

    def wait_ready(self) -> Self:
        """Return once it serves."""
        told = self.end()
        self.port, self.metrics_port = told["port"], told["metrics_port"]
        return self

    def ask(self, do: str, **arguments: object) -> Mapping[str, Any]:
        """Have one thing done and return what it showed."""
        self.begin(do, **arguments)
        return self.end()

    def begin(self, do: str, **arguments: object) -> None:
        """Have one thing done; `end` returns what it showed."""
        stdin = self._process.stdin
        if stdin is not None:
            stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            stdin.flush()

    def end(self) -> Mapping[str, Any]:
        """Return what was begun, once it is done.

        Raises:
            SystemExit: the process has ended; with what it said last.
        """
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            last = self._said.read_text(encoding="utf-8", errors="replace")[-_LAST:]
            raise SystemExit(f"the process of {self.variant} has ended: {last}")
        shown: dict[str, Any] = json.loads(line)
        return shown

    def resident_mb(self) -> float:
        """Return the memory that the process has now."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


class Stage:
    """All processes of a run, ended together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sink = Sink()
        self._served: list[Served] = []

    def serve(
        self,
        variant: str,
        *,
        name: str = "",
        manner: str = "healthy",
        sink: str = "",
        core: int | None = None,
    ) -> Served:
        """Start a variant, known to the collector by its name; `wait_ready` of it comes next.

        It sends to another address where `sink` tells one.
        """
        name = name or variant
        folder = self._folder / name
        folder.mkdir()
        served = Served(variant, sink or self.sink.url(name, manner), folder, core)
        self._served.append(served)
        return served

    def close(self) -> None:
        """End all of them."""
        for served in self._served:
            served.close()
        self.sink.close()

    @classmethod
    @contextmanager
    def set(cls) -> Iterator[Self]:
        """Yield a stage in a folder of its own, in memory where there is such a place."""
        base = SHM if SHM.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="why504-bench-", dir=base) as folder:
            stage = cls(Path(folder))
            try:
                yield stage
            finally:
                stage.close()


def _on(core: int | None) -> list[str]:
    # Who wakes up there is to find it free, where that is allowed: lateness is its own then.
    return [] if core is None else ["nice", "-n", "-20", "taskset", "-c", str(core)]


def _environment(variant: str) -> Mapping[str, str]:
    # What the caller's own environment says of OpenTelemetry or the probe is no default.
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "WHY504_"))}
    if VARIANTS[variant].module:
        ours["PYTHONPATH"] = os.pathsep.join(filter(None, [ours.get("PYTHONPATH"), str(PEERS)]))
    return ours
