"""A real Prometheus with the repository's own configuration and rules, on targets of the lab."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import httpx

from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start
from lab.stack.ready import answers
from why504.errors import LabError

_ROOT: Final = Path(__file__).parents[2]
CONFIG: Final = _ROOT / "otel" / "prometheus.yml"
RULES: Final = _ROOT / "alerts" / "rules"
HOW_TO_GET_IT: Final = "no Prometheus: apt-get install prometheus"
_ALERTMANAGER: Final = "127.0.0.1:9093"
_TARGET: Final = re.compile(r'- targets: \["(127\.0\.0\.1:\d+)"\]\n +labels: .*\n')
"""One target with its labels, in `CONFIG`."""


def find_binary() -> Path | None:
    """Return Prometheus, or None."""
    found = shutil.which("prometheus")
    return Path(found) if found else None


class Prometheus:
    """A running server on 127.0.0.1."""

    def __init__(self, process: Process, url: str) -> None:
        self.process = process
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()

    @classmethod
    def start(
        cls, folder: Path, targets: Mapping[str, str], alertmanager: str = _ALERTMANAGER
    ) -> Self:
        """Start a server whose data and log are in `folder`.

        Args:
            targets: address in `CONFIG` -> the lab's; those that are not there are not scraped.
            alertmanager: `host:port`.

        Raises:
            LabError: there is no binary, or it did not start.
        """
        binary = find_binary()
        if binary is None:
            raise LabError(HOW_TO_GET_IT)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "prometheus.yml"
        config.write_text(configuration(targets, alertmanager), encoding="utf-8")
        port = free_port()
        argv = [str(binary), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
        argv += [f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage"]
        url = f"http://127.0.0.1:{port}"
        return cls(start(Program(argv, "prometheus", folder), ready=answers(f"{url}/-/ready")), url)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query: `{metric, value}`."""
        samples: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return samples

    def query_range(
        self, expression: str, start_s: float, end_s: float, step_s: float
    ) -> list[dict[str, Any]]:
        """Return the series of a range query: `{metric, values}`; times are Unix seconds."""
        times = {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:g}"}
        series: list[dict[str, Any]] = self._get("query_range", query=expression, **times)["result"]
        return series

    def exemplars(self, expression: str, start_s: float, end_s: float) -> list[dict[str, Any]]:
        """Return the exemplars of an expression's series: `{labels, value, timestamp}`."""
        times = {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}"}
        told = self._get("query_exemplars", query=expression, **times)
        return [one for series in told for one in series["exemplars"]]

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule: its name, `health`, `lastError`, for alerts `state`."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str, **params: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=10)
        answer.raise_for_status()
        return answer.json()["data"]


def configuration(targets: Mapping[str, str], alertmanager: str) -> str:
    """Return `CONFIG` with the lab's addresses, and the rules where they are."""

    def placed(told: re.Match[str]) -> str:
        address = targets.get(told[1])
        return told[0].replace(told[1], address) if address else ""

    text = _TARGET.sub(placed, CONFIG.read_text(encoding="utf-8"))
    # A job that lost all of its targets has an empty list.
    text = re.sub(r"static_configs:\n(?! +- )", "static_configs: []\n", text)
    return text.replace(_ALERTMANAGER, alertmanager).replace("../alerts/rules", str(RULES))
