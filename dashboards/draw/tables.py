"""Rows of the table of 504s: column name -> cells, ready for `st.dataframe`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo

from dashboards.draw.text import duration, moment, plain
from dashboards.language import Say
from dashboards.words import lists as words
from why504.model import Incident, Leaf, Victim

ROUTES_SHOWN = 3
CELL = 160


def victim_rows(
    victims: Sequence[Victim], say: Say, zone: tzinfo = UTC
) -> dict[str, Sequence[str | int]]:
    """Return one row a 504, in the order given."""
    told: dict[str, Sequence[str | int]] = {
        "time": [moment(v.start_ns, zone, date=False) for v in victims],
        "route": [plain(v.route, CELL) for v in victims],
        "blocked_in": [plain(v.blocked_in, CELL) for v in victims],
        "held_by": [plain(v.held_by, CELL) or say(words.NOBODY) for v in victims],
        "leaf": [leaf_words(v.leaf) for v in victims],
        "reached": [say(words.YES if v.reached_app else words.NO) for v in victims],
        "after": [duration((v.gave_up_ns - v.start_ns) / 1e9) for v in victims],
        "trace": [plain(v.trace_id, 40) for v in victims],
    }
    return {say(words.VICTIMS[name]): cells for name, cells in told.items()}


def victim_name(victim: Victim, zone: tzinfo = UTC) -> str:
    """Return what tells one 504 from the others in a list to choose from."""
    when = moment(victim.start_ns, zone, date=False)
    return f"{when}  {plain(victim.route, 80)}  {plain(victim.trace_id, 40)[:8]}"


def leaf_words(leaf: Leaf) -> str:
    """Return a leaf with its line of code, if it has one."""
    return plain(f"{leaf.what} ({leaf.site})" if leaf.site else leaf.what, CELL)


def routes_words(incident: Incident, say: Say) -> str:
    """Return the routes of an incident: three, and how many more."""
    routes = incident.routes
    shown = ", ".join(plain(route, 60) for route in routes[:ROUTES_SHOWN])
    more = len(routes) - ROUTES_SHOWN
    return say(words.MORE_ROUTES, routes=shown, number=more) if more > 0 else shown
