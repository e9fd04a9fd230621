"""Groq's stand-in as a process of its own, so that its delays are the network's, not the lab's."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Self

import httpx

from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start
from lab.stack.ready import listens


class Groq:
    """A running stand-in; give `url` to the real client as its `base_url`."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @classmethod
    def start(cls, folder: Path, *, delay_s: float = 0.0) -> Self:
        """Start one that answers each call after `delay_s`.

        Raises:
            LabError: it did not start.
        """
        port = free_port()
        argv = [sys.executable, "-m", "lab.standins.groq", "--port", str(port)]
        # Only `lab` itself is needed, wherever this process found it.
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        home = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        program = Program([*argv, "--delay-s", str(delay_s)], "groq", folder, home)
        return cls(start(program, ready=listens(port)), port)

    def behave(self, **changes: object) -> None:
        """Change fields of `lab.standins.groq.Behaviour`: `behave(delay_s=20, limited=True)`."""
        httpx.put(f"{self.url}/_control", json=changes, trust_env=False).raise_for_status()

    def stop(self) -> None:
        """End it; calls that wait for an answer are cut."""
        self.process.stop(grace_s=0.2)
