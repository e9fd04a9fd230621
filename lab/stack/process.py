"""Starts one real server, waits until it is ready, and sees to it that it ends with the lab."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from lab.stack import leash
from why504.errors import LabError

POLL_S = 0.02
TAIL_LINES = 15
LAST_TURN_S = 60.0
"""A killed process ends once it gets a turn, and fault E1 leaves the service a 300th of a core."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and where: `folder` receives `<name>.log` and is the working folder."""

    argv: Sequence[str]
    name: str
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of this process."""
    account: str = "same"
    """`same`, `namespace` or `nobody`: see lab/stack/leash.py."""
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def log(self) -> Path:
        """File with everything that the program prints."""
        return self.folder / f"{self.name}.log"


class Process:
    """A running program, the leader of a process group of its own."""

    def __init__(
        self, program: Program, leashed: subprocess.Popen[bytes], cord: socket.socket
    ) -> None:
        self.program = program
        self._leash = leashed
        self._cord = cord
        with cord.makefile("rb") as told:
            self.pid = int(told.readline() or 0)
        """Process id of the program itself."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether the program runs, frozen or not."""
        return self._leash.poll() is None

    def wait(self, timeout_s: float) -> int:
        """Wait for the program's own end and return its exit code, 128 + n for signal n.

        Raises:
            LabError: it still runs after `timeout_s`.
        """
        try:
            return self._leash.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.program.name} still runs after {timeout_s:g} s") from None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program itself."""
        if self.alive:
            leash.signal_all([self.pid], number)

    def freeze(self) -> None:
        """Stop the program and all its descendants where they are: alive, but silent."""
        self._send_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._send_all(signal.SIGCONT)

    def kill(self) -> None:
        """End the program and all its descendants at once, as a crash would."""
        self._send_all(signal.SIGKILL)
        self._let_go()

    def stop(self, grace_s: float = 5.0) -> None:
        """Ask the program to end, and kill it and its descendants after `grace_s`."""
        self.thaw()
        self.send(self.program.stop_signal)
        try:
            self._leash.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._send_all(signal.SIGKILL)
        self._let_go()

    def _send_all(self, number: signal.Signals) -> None:
        if self.alive:
            leash.signal_all(leash.descendants(self.pid), number)

    def _let_go(self) -> None:
        self._leash.wait(LAST_TURN_S)
        self._cord.close()


def start(
    program: Program, *, ready: Callable[[], bool] | None = None, timeout_s: float = 15.0
) -> Process:
    """Start a program and return it once `ready()` is true (at once without `ready`).

    Raises:
        LabError: it ended or was not ready in time; the message ends with the tail of its log.
    """
    program.folder.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair()
    argv = [sys.executable, "-I", "-S", leash.__file__, str(theirs.fileno()), program.account]
    with program.log.open("ab") as log:
        leashed = subprocess.Popen(
            [*argv, *program.argv],
            cwd=program.folder,
            env={**os.environ, **program.env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            # Not a session of its own: between sessions Linux heeds no niceness (autogroups).
            process_group=0,
        )
    theirs.close()
    process = Process(program, leashed, ours)
    if ready is not None:
        wait_until(ready, process, timeout_s)
    return process


def run(program: Program, *, timeout_s: float = 60.0) -> None:
    """Run a program to its end.

    Raises:
        LabError: it failed or took longer than `timeout_s`.
    """
    process = start(program)
    try:
        code = process.wait(timeout_s)
    finally:
        process.stop(grace_s=0)
    if code != 0:
        raise _failure(program, f"ended with code {code}")


def wait_until(ready: Callable[[], bool], process: Process, timeout_s: float) -> None:
    """Return once `ready()` is true of a program that was started.

    Raises:
        LabError: it ended or was not ready in time; the message ends with the tail of its log.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        if not process.alive:
            process.stop()
            raise _failure(process.program, f"ended with code {process.wait(0)} as it started")
        if time.monotonic() > deadline:
            process.stop(grace_s=0)
            raise _failure(process.program, f"was not ready after {timeout_s:g} s")
        time.sleep(POLL_S)


def _failure(program: Program, what: str) -> LabError:
    lines = program.log.read_text(encoding="utf-8", errors="replace").splitlines()
    tail = "\n".join(f"  {line}" for line in lines[-TAIL_LINES:]) or "  (it printed nothing)"
    return LabError(f"{program.name} {what}; the end of {program.log}:\n{tail}")
