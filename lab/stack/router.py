"""Our own router of alerts, as a process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Self

from lab.deployment import PYTHON
from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start
from lab.stack.ready import answers


class Router:
    """A running `why504 alerts serve`."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    @classmethod
    def start(cls, folder: Path, webhook: str, store: Path) -> Self:
        """Start one that explains P0s by what is in `store`; `folder` gets its ledger and log.

        Raises:
            LabError: it did not start.
        """
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        argv = [sys.executable, "-m", "why504.cli", "alerts", "serve", "--port", str(port)]
        argv += ["--ledger", str(folder / "alerts.sqlite"), "--store", str(store)]
        settings = {"WHY504_ALERTS_WEBHOOK": webhook, "WHY504_ALERTS_LOCAL_CHAT": "1"}
        program = Program(argv, "router", folder, {**PYTHON, **settings})
        ready = answers(f"http://127.0.0.1:{port}/metrics")
        return cls(start(program, ready=ready), port)
