"""Rows of the two tables of the incident page: column name -> cells, ready for `st.dataframe`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo

from dashboards.draw.text import duration, moment, percent, plain
from why504.model import Incident, Leaf, Victim

ROUTES_SHOWN = 3
CELL = 160


def incident_rows(
    incidents: Sequence[Incident], zone: tzinfo = UTC
) -> dict[str, Sequence[str | int]]:
    """Return one row an incident, in the order given."""
    return {
        "Began": [moment(i.window.start_ns, zone) for i in incidents],
        "Cause": [plain(f"{i.finding.cause}  {i.finding.title}", CELL) for i in incidents],
        "504s": [i.count for i in incidents],
        "Lasted": [duration((i.window.end_ns - i.window.start_ns) / 1e9) for i in incidents],
        "Confidence": [percent(i.finding.confidence) for i in incidents],
        "Mechanism": [plain(i.finding.mechanism, CELL) for i in incidents],
        "Routes": [_routes(i) for i in incidents],
    }


def victim_rows(victims: Sequence[Victim], zone: tzinfo = UTC) -> dict[str, Sequence[str | int]]:
    """Return one row a 504, in the order given."""
    return {
        "Time": [moment(v.start_ns, zone, date=False) for v in victims],
        "Route": [plain(v.route, CELL) for v in victims],
        "Blocked in": [plain(v.blocked_in, CELL) for v in victims],
        "Held by": [plain(v.held_by, CELL) or "nobody seen" for v in victims],
        "Comes down to": [leaf_words(v.leaf) for v in victims],
        "Reached the app": ["yes" if v.reached_app else "no" for v in victims],
        "Gave up after": [duration((v.gave_up_ns - v.start_ns) / 1e9) for v in victims],
        "Trace": [plain(v.trace_id, 40) for v in victims],
    }


def victim_name(victim: Victim, zone: tzinfo = UTC) -> str:
    """Return what tells one 504 from the others in a list to choose from."""
    when = moment(victim.start_ns, zone, date=False)
    return f"{when}  {plain(victim.route, 80)}  {plain(victim.trace_id, 40)[:8]}"


def leaf_words(leaf: Leaf) -> str:
    """Return a leaf with its line of code, if it has one."""
    return plain(f"{leaf.what} ({leaf.site})" if leaf.site else leaf.what, CELL)


def _routes(incident: Incident) -> str:
    routes = incident.routes
    more = len(routes) - ROUTES_SHOWN
    shown = ", ".join(plain(route, 60) for route in routes[:ROUTES_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
