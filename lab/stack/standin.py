"""A stand-in as a process of its own, so that its delays are the network's, not the lab's."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, ClassVar, Self

import httpx

from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start
from lab.stack.ready import listens


class StandIn:
    """A running stand-in; give `url` to the real client as its base URL."""

    name: ClassVar[str]
    """Its module's name in lab/standins/."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @classmethod
    def start(cls, folder: Path, *, port: int | None = None, delay_s: float = 0.0) -> Self:
        """Start one that answers each call after `delay_s`, on a free port unless one is given.

        Raises:
            LabError: it did not start.
        """
        port = port or free_port()
        argv = [sys.executable, "-m", f"lab.standins.{cls.name}", "--port", str(port)]
        # Only `lab` itself is needed, wherever this process found it.
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        home = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        program = Program([*argv, "--delay-s", str(delay_s)], cls.name, folder, home)
        return cls(start(program, ready=listens(port)), port)

    def behave(self, **changes: object) -> None:
        """Change fields of the stand-in's `Behaviour`: `behave(delay_s=20)`."""
        httpx.put(f"{self.url}/_control", json=changes, trust_env=False).raise_for_status()

    def seen(self) -> dict[str, Any]:
        """Return what it was asked so far, as its `/_seen` tells."""
        seen: dict[str, Any] = httpx.get(f"{self.url}/_seen", trust_env=False).json()
        return seen

    def stop(self) -> None:
        """End it; calls that wait for an answer are cut, further ones refused."""
        self.process.stop(grace_s=0.2)
