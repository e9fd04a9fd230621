"""Programs that are started again when they die, as systemd does with `Restart=always`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Self

from lab.stack.process import Program, start
from why504.errors import LabError

RESTART_S: Final = 0.5
POLL_S: Final = 0.05


class Kept:
    """One program that is kept running; `kind` is what several of them have in common."""

    def __init__(
        self, program: Program, *, kind: str, metrics_port: int, ready: Callable[[], bool]
    ) -> None:
        self.program = program
        self.kind = kind
        self.metrics_port = metrics_port
        self.ready = ready
        self._turn = threading.Lock()
        self._process = start(program)
        self.pids = [self._process.pid]
        """Of every process so far, the present one last."""
        self.exits: list[int] = []
        """Exit codes of those before it, 128 + n for signal n."""

    @property
    def alive(self) -> bool:
        """Whether a process runs now."""
        return self._process.alive

    def kill(self) -> int:
        """End it at once with `kill -9` and return the pid; its supervisor starts another."""
        with self._turn:
            pid = self._process.pid
            self._process.kill()
            return pid

    def start_again(self) -> None:
        """Start another process."""
        with self._turn:
            self._process.stop(grace_s=0)
            self.exits.append(self._process.wait(0))
            self._process = start(self.program)
            self.pids.append(self._process.pid)

    def end(self) -> None:
        """Ask it to end, and kill it if it does not."""
        with self._turn:
            self._process.stop()


class Supervisor:
    """Watches programs from a thread of its own and starts dead ones again after half a second.

    Raises (on entering):
        LabError: a program was not ready in time.
    """

    def __init__(self, kept: Sequence[Kept], *, start_timeout_s: float = 60.0) -> None:
        self._kept = kept
        self._start_timeout_s = start_timeout_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        deadline_s = time.monotonic() + self._start_timeout_s
        for each in self._kept:
            while not each.ready():
                if not each.alive or time.monotonic() > deadline_s:
                    self._end_all()
                    tail = each.program.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                    raise LabError(f"{each.program.name} did not start:\n{tail}")
                time.sleep(POLL_S)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(10)
        self._end_all()

    def _end_all(self) -> None:
        enders = [threading.Thread(target=each.end) for each in self._kept]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join(10)

    def _watch(self) -> None:
        died_s: dict[str, float] = {}
        while not self._stopping.wait(POLL_S):
            for each in self._kept:
                if each.alive:
                    continue
                since_s = died_s.setdefault(each.program.name, time.monotonic())
                if time.monotonic() - since_s >= RESTART_S:
                    del died_s[each.program.name]
                    each.start_again()
