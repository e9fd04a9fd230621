"""Processes that hang in known ways, and the guess that is made of them."""

import socket
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from why504.diagnose.hung.guess import Guess, guess
from why504.diagnose.hung.scene import Scene
from why504.watch.hung.look import look_at

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE_S = 30


def line_of(program: str, mark: str) -> str:
    """Return `app.py:12` of the line that ends in `# line: mark`."""
    lines = (PROGRAMS / program).read_text().splitlines()
    (number,) = (n for n, line in enumerate(lines, 1) if line.endswith(f"# line: {mark}"))
    return f"{program}:{number}"


@dataclass
class Service:
    """The application with all its ways to hang."""

    process: subprocess.Popen[str]
    port: int
    ending: ExitStack

    def ask(self, route: str, times: int = 1, answered: bool = False) -> None:
        """Send requests and keep their connections; wait until they are inside, or answered."""
        for _ in range(times):
            client = self.ending.enter_context(connected(self.port))
            client.sendall(f"GET /{route} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            if answered:
                assert client.recv(1 << 16)
            else:
                assert self.process.stdout.readline().startswith("inside")


def connected(port: int) -> socket.socket:
    end_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        except ConnectionRefusedError:
            assert time.monotonic() < end_s
            time.sleep(0.05)


def guessed(pid: int) -> tuple[Guess, Scene]:
    scene = Scene(look_at(pid))
    return guess(scene), scene
