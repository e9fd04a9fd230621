"""Why it burns, for the card: asked of the live view, in a process that can be given up on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

LIMIT_S: Final = 10.0
"""A diagnosis that takes longer is no help to whoever was just woken up."""
UNKNOWN: Final = "UNKNOWN"


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


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What an incident did to users, said once it is over."""

    lasted_s: float
    requests: int
    """That timed out."""
    causes: Mapping[str, int]
    """Row of the taxonomy, UNKNOWN too -> how many of them, most first."""


class Explainer(Protocol):
    """Who can say why requests hang. Adapters: `StoredEvidence`; fixed answers in tests."""

    def explain(self) -> Sequence[Finding]:
        """Return what is wrong now, most victims first; takes seconds, and never raises."""
        ...

    def aftermath(self, service: str, since_ns: int, until_ns: int) -> Aftermath | None:
        """Return what happened to a service's requests, None if nobody can say; never raises."""
        ...


class StoredEvidence:
    """What `why504 receive` stored, asked in processes of their own."""

    def __init__(self, store: Path, limit_s: float = LIMIT_S) -> None:
        self._command = [sys.executable, "-m", "why504.cli"]
        self._asked = ["--json", "--store", str(store)]
        self._limit_s = limit_s

    def explain(self) -> Sequence[Finding]:
        """Ask the live view once; see `Explainer.explain`."""
        try:
            told = self._ask("now")
            named = [one for one in told["incidents"] if one["finding"]["cause"] != UNKNOWN]
            named.sort(key=lambda one: -one["count"])
            return [_finding(one, told["open"]) for one in named]
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
            return []

    def aftermath(self, service: str, since_ns: int, until_ns: int) -> Aftermath | None:
        """Explain the time of an incident; see `Explainer.aftermath`."""
        try:
            told = self._ask("explain", "--from", _iso(since_ns), "--to", _iso(until_ns))
            causes: Counter[str] = Counter()
            for incident in told:
                mine = (one for one in incident["victims"] if one["service"] in (service, ""))
                causes[incident["finding"]["cause"]] += round(sum(v["stands_for"] for v in mine))
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
            return None
        counts = {cause: count for cause, count in causes.most_common() if count}
        return Aftermath((until_ns - since_ns) / 1e9, sum(counts.values()), counts)

    def _ask(self, *what: str) -> Any:
        command = [*self._command, *what, *self._asked]
        done = subprocess.run(command, capture_output=True, timeout=self._limit_s, check=True)
        return json.loads(done.stdout)


def _finding(incident: dict[str, Any], stuck: Sequence[dict[str, Any]]) -> Finding:
    told, victims = incident["finding"], incident["victims"]
    services = {one["service"] for one in victims} - {""}
    return Finding(
        cause=told["cause"],
        title=told["title"],
        sentence=told["sentence"],
        chain=[link["what"] for link in told["chain"]],
        incident_id=incident["id"],
        trace_id=victims[0]["trace_id"] if victims else "",
        # Of requests that never reached an application nobody knows whose they are.
        services=sorted(services or {one["service"] for one in stuck}),
    )


def _iso(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat()
