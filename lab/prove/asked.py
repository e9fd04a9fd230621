"""What the dashboards of Grafana ask, as it would ask it: out of their JSON, variables put in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.faults import ROOT

BOARDS: Final = ROOT / "grafana" / "dashboards"
PROMETHEUS: Final = "prometheus"
TEMPO: Final = "tempo"
INTERVALS: Final = {
    # Grafana's: four scrapes, of ten seconds each.
    "__rate_interval": "40s",
    "__interval": "10s",
    "__range": "15m",
}
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
_ALL_OF_A_LABEL: Final = re.compile(r"label_values\((.*),\s*\w+\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of one panel, or of what surrounds the panels."""

    board: str
    """The uid of the dashboard."""
    panel: str
    """Its title, or what else asks: `variable service_name`, `annotation Alerts`."""
    source: str
    """`prometheus` or `tempo`."""
    text: str
    """PromQL or TraceQL."""
    written: str
    """As the dashboard has it."""
    instant: bool = False

    @property
    def where(self) -> str:
        """Return it for people."""
        return f"{self.board}: {self.panel}"


def boards(folder: Path = BOARDS) -> list[dict[str, Any]]:
    """Return every dashboard, in order of their uids."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]


def asked(board: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[Asked]:
    """Yield everything that a dashboard asks.

    Args:
        board: the dashboard's JSON.
        given: values of its variables; those that people write have their own.

    Raises:
        KeyError: nobody gave a variable.
    """
    variables = board["templating"]["list"]
    values = {**INTERVALS, **{one["name"]: one["query"] for one in _boxes(variables)}, **given}

    def told(panel: str, source: str, text: str, *, instant: bool = False) -> Asked:
        return Asked(board["uid"], panel, source, put_in(text, values), text, instant)

    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            source = target["datasource"]["type"]
            text = target["query"] if source == TEMPO else target["expr"]
            yield told(panel["title"], source, text, instant=target.get("instant", False))
    for one in board["annotations"]["list"]:
        yield told(f"annotation {one['name']}", PROMETHEUS, one["expr"])
    for one in variables:
        if one["type"] == "query":
            text = _expression(one["query"]["query"])
            yield told(f"variable {one['name']}", PROMETHEUS, text, instant=True)


def put_in(text: str, values: Mapping[str, str]) -> str:
    """Return a query with its variables replaced.

    Raises:
        KeyError: one has no value.
    """
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], text)


def _boxes(variables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in variables if one["type"] == "textbox"]


def _expression(query: str) -> str:
    """Return the PromQL inside `label_values(…, label)` or `query_result(…)`."""
    if found := _ALL_OF_A_LABEL.fullmatch(query):
        return found[1]
    return query.removeprefix("query_result(").removesuffix(")")
