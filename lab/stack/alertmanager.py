"""A real Alertmanager with the repository's own configuration, which sends to a router of ours."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import httpx

from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start
from lab.stack.ready import answers
from why504.errors import LabError

CONFIG: Final = Path(__file__).parents[2] / "alerts" / "alertmanager.yml"
HOW_TO_GET_IT: Final = "no Alertmanager: apt-get install prometheus-alertmanager"
_ROUTER: Final = "http://127.0.0.1:9504"
"""The router in `CONFIG`."""


def find_binary() -> Path | None:
    """Return Alertmanager, or None."""
    names = ("prometheus-alertmanager", "alertmanager")
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


class Alertmanager:
    """A running server on 127.0.0.1."""

    def __init__(self, process: Process, url: str) -> None:
        self.process = process
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()

    @classmethod
    def start(cls, folder: Path, router_url: str) -> Self:
        """Start a server whose data and log are in `folder`.

        Raises:
            LabError: there is no binary, or it did not start.
        """
        binary = find_binary()
        if binary is None:
            raise LabError(HOW_TO_GET_IT)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "alertmanager.yml"
        text = CONFIG.read_text(encoding="utf-8")
        config.write_text(text.replace(_ROUTER, router_url), encoding="utf-8")
        port = free_port()
        argv = [str(binary), f"--config.file={config}", f"--storage.path={folder / 'data'}"]
        argv += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
        url = f"http://127.0.0.1:{port}"
        program = Program(argv, "alertmanager", folder)
        return cls(start(program, ready=answers(f"{url}/-/ready")), url)

    def raise_(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Tell it alerts, as Prometheus does."""
        httpx.post(f"{self.url}/api/v2/alerts", json=list(alerts), timeout=5).raise_for_status()
