"""The incident explorer as a process of its own, on a store."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start
from lab.stack.ready import answers

_ROOT: Final = Path(__file__).parents[2]
_SCRIPT: Final = _ROOT / "dashboards" / "explorer.py"
_READY_S: Final = 60.0


class Explorer:
    """A running explorer on 127.0.0.1."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        """Without a slash at the end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    @classmethod
    def start(cls, folder: Path, store: Path | None, env: Mapping[str, str] | None = None) -> Self:
        """Start an explorer that runs in `folder`, where its log is too.

        Args:
            folder: another one than the project's, so that it is found what ships with the script.
            store: what it shows; None: it is told of no store.
            env: further settings (dashboards/settings.py).

        Raises:
            LabError: it did not start.
        """
        port = free_port()
        argv = [sys.executable, "-m", "streamlit", "run", str(_SCRIPT), "--server.port", str(port)]
        argv += ["--", "--store", str(store.resolve())] if store else []
        program = Program(argv, "explorer", folder, env or {})
        health = answers(f"http://127.0.0.1:{port}/_stcore/health")
        return cls(start(program, ready=health, timeout_s=_READY_S), port)
