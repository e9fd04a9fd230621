"""Why it burns, for the card: asked of the live view, in a process that can be given up on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

LIMIT_S: Final = 10.0
"""A diagnosis that takes longer is no help to whoever was just woken up."""
_UNKNOWN: Final = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the engine found out."""

    cause: str
    """Row of the taxonomy: `F1`."""
    title: str
    sentence: str
    chain: Sequence[str]
    """From the victims to whatever holds them up."""
    incident_id: str
    """As the explorer knows it."""
    trace_id: str
    """Of one of the victims; empty if none is known."""
    services: Sequence[str]
    """Whose requests hang: for an incident of another service it says nothing."""


class Explainer(Protocol):
    """Who can say why requests hang. Adapters: `LiveView`; a fixed answer in tests."""

    def explain(self) -> Finding | None:
        """Return what is wrong now, None while nobody can say; takes seconds, and never raises."""
        ...


class LiveView:
    """The live view of a store, as `why504 now` shows it."""

    def __init__(self, store: Path, limit_s: float = LIMIT_S) -> None:
        self._command = [sys.executable, "-m", "why504.cli", "now", "--json", "--store", str(store)]
        self._limit_s = limit_s

    def explain(self) -> Finding | None:
        """Ask once; see `Explainer.explain`."""
        try:
            done = subprocess.run(
                self._command, capture_output=True, timeout=self._limit_s, check=True
            )
            told = json.loads(done.stdout)
            services = sorted({stuck["service"] for stuck in told["open"]})
            named = [one for one in told["incidents"] if one["finding"]["cause"] != _UNKNOWN]
            if not named or (len(named) > 1 and len(services) > 1):
                return None  # of several, nobody can tell which is whose
            return _finding(max(named, key=lambda one: one["count"]), services)
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
            return None


def _finding(incident: dict[str, Any], services: Sequence[str]) -> Finding:
    told = incident["finding"]
    victims = incident["victims"]
    return Finding(
        cause=told["cause"],
        title=told["title"],
        sentence=told["sentence"],
        chain=[link["what"] for link in told["chain"]],
        incident_id=incident["id"],
        trace_id=victims[0]["trace_id"] if victims else "",
        services=services,
    )
