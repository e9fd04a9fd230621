"""What is told in an incident's thread later: why it burns, and what it did."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import NAMESPACE_URL, uuid5

from why504.alerts.cards.frame import (
    COLOURS,
    OVER,
    Place,
    buttons,
    card,
    incident_url,
    notification,
    why,
)
from why504.alerts.cards.widgets import Room, as_bytes, line
from why504.alerts.cards.words import word
from why504.alerts.kept.message import Batch, Known
from why504.alerts.rooms.finding import Aftermath, Finding


def explanation(incidents: Sequence[str], known: Known, finding: Finding, place: Place) -> Batch:
    """Return the reply that tells why incidents burn, which were told before.

    Args:
        incidents: the first is the one in whose thread it is told.
        known: what is known of the first.
    """
    incident = incidents[0]
    title = f"{known.level.name} · {word('cause', place.language)} {finding.cause}"
    room = Room()
    room.add(*why(finding, place))
    acknowledge = place.ack_links.to(incidents[:1], known.opened_ns)
    targets = {"acknowledge": acknowledge, "open_incident": incident_url(finding, place)}
    if links := buttons(targets, place):
        room.add(links)
    body = {
        "text": notification(title, known.service, place, mentioned=False),
        "cardsV2": [card(incident, COLOURS[known.level], title, known.service, room.widgets)],
        "thread": {"threadKey": incident},
    }
    return Batch(
        request_id=str(uuid5(NAMESPACE_URL, f"why504/{incident}/{finding.cause}")),
        body=as_bytes(body).decode(),
        level=known.level,
        changes=[],
        incidents=[incident],
        explained=incidents,
    )


def closing(incident: str, known: Known, aftermath: Aftermath, place: Place) -> Batch:
    """Return the reply that tells what an incident did to users, once it is over."""
    said = word("timed_out", place.language, number=aftermath.requests)
    title = f"{known.level.name} · {word('resolved', place.language)}: {said}"
    room = Room()
    room.add(line(word("lasted", place.language), f"{aftermath.lasted_s:.0f} s"))
    for cause, requests in aftermath.causes.items():
        room.add(line(f"{word('cause', place.language)} · {cause}", f"{requests} x 504"))
    body = {
        "text": notification(title, known.service, place, mentioned=False),
        "cardsV2": [card(incident, OVER, title, known.service, room.widgets)],
        "thread": {"threadKey": incident},
    }
    return Batch(
        request_id=str(uuid5(NAMESPACE_URL, f"why504/{incident}/over")),
        body=as_bytes(body).decode(),
        level=known.level,
        changes=[],
        incidents=[incident],
        closed=[incident],
    )
