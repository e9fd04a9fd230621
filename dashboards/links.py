"""What a URL of the explorer names: `?incident=ID&trace=TRACE_ID`, both optional."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from why504.model import Incident, Victim

TRACE_ID: Final = re.compile("[0-9a-f]{32}")
_SHORT: Final = re.compile("[0-9a-f]{16,31}")


@dataclass(frozen=True, slots=True)
class Choice:
    """What to show, and what the URL named that is not there."""

    incident: Incident
    victim: Victim | None
    """None only for an incident without victims."""
    missing: str = ""
    """`incident`, `trace` or empty."""


def choose(incidents: Sequence[Incident], incident_id: str, trace_id: str) -> Choice:
    """Return what the URL names; the first incident and its first victim where it names nothing.

    Args:
        incidents: at least one, the one to show by default first.
        incident_id: empty when the URL names none.
        trace_id: empty when the URL names none; finds its incident also without `incident_id`.
    """
    named = [i for i in incidents if i.id == incident_id]
    for incident in named or incidents:
        for victim in incident.victims:
            if trace_id and victim.trace_id == trace_id:
                missing = "" if named or not incident_id else "incident"
                return Choice(incident, victim, missing)
    incident = named[0] if named else incidents[0]
    missing = "incident" if incident_id and not named else ("trace" if trace_id else "")
    return Choice(incident, incident.victims[0] if incident.victims else None, missing)


def held(victim: Victim, holder: str) -> Victim:
    """Return a request with whoever an address says holds it up; anything but an id is ignored."""
    known = TRACE_ID.fullmatch(holder) is not None
    return replace(victim, holder_trace_id=holder) if known else victim


def padded(trace_id: str) -> str:
    """Return an id with the zeros that Tempo's search, and with it Grafana, leaves out in front."""
    return trace_id.zfill(32) if _SHORT.fullmatch(trace_id) else trace_id


def elsewhere(address: str, trace_id: str) -> str:
    """Return where another program shows a trace; empty if there is none, or no such id.

    Args:
        address: with `{trace}` where the id belongs; http or https.
        trace_id: as telemetry tells it.
    """
    if not TRACE_ID.fullmatch(trace_id) or urlsplit(address).scheme not in ("http", "https"):
        return ""
    return address.replace("{trace}", trace_id)
