"""Google Chat's cards, as objects: what on-call sees of an incident, or of many at once.

Source: the discovery document of chat.v1, `Message` and `GoogleAppsCardV1Card`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from why504.alerts.alert import FIRING, RESOLVED, Alert, Level
from why504.alerts.cards.frame import (
    COLOURS,
    OVER,
    PARAGRAPH,
    Place,
    absolute,
    buttons,
    card,
    incident_url,
    notification,
    why,
)  # fmt: skip
from why504.alerts.cards.marks import beside, in_text, marks_of, section_of
from why504.alerts.cards.text import LONGEST_LINK, in_card
from why504.alerts.cards.widgets import WIDGETS, Json, Room, as_bytes, line
from why504.alerts.cards.words import word
from why504.alerts.kept.message import Batch, Change, Frozen, Unsent
from why504.alerts.rooms.finding import Finding

_ALERTS_SHOWN: Final = 8
_ROUTES: Final = ("http_route", "route", "handler")


def message(
    told: Sequence[Unsent],
    place: Place,
    findings: Mapping[str, Finding] = MappingProxyType({}),
    tickets: Mapping[str, str] = MappingProxyType({}),
) -> Batch:
    """Return the message that tells some changes: of one incident, or of several.

    Args:
        findings: causes that nobody was told of yet, by incident.
        tickets: addresses of tickets, by incident.
    """
    incidents = list(dict.fromkeys(one.incident for one in told))
    changes = [one.change for one in told]
    if len(incidents) > 1:
        return batch_of(changes, _of_many(told, place), incidents)
    finding = findings.get(incidents[0])
    explained = incidents if finding else []
    body = _of_incident(told, place, finding, tickets.get(incidents[0], ""))
    return batch_of(changes, body, incidents, explained)


def bare(told: Sequence[Unsent]) -> Batch:
    """Return the message that tells changes by what was never anybody's text, without a card."""
    level = min(one.level for one in told)
    said = f"{level.name} · {len(told)} alerts: {in_text(_latest(told))}"
    return batch_of(
        [one.change for one in told], {"text": said}, list({one.incident for one in told})
    )


def batch_of(
    changes: Sequence[Change], body: Json, incidents: Sequence[str] = (),
    explained: Sequence[str] = (),
) -> Batch:  # fmt: skip
    """Return a message of some changes; its id depends on what it tells alone."""
    told = ",".join(f"{one.alert.identity}{one.alert.status}" for one in changes)
    return Batch(
        request_id=str(uuid5(NAMESPACE_URL, f"why504/{changes[0].id}/{told}")),
        body=as_bytes(body).decode(),
        level=min(one.alert.level for one in changes),
        changes=[one.id for one in changes],
        incidents=incidents,
        explained=explained,
    )


def listed(title: str, lines: Sequence[tuple[str, str]], key: str, place: Place) -> Json:
    """Return the body of a message that lists what nobody is woken for."""
    room = Room()
    shown = 0
    for heading, text in lines[: WIDGETS - 10]:
        shown += room.add(line(heading, text))
    if shown < len(lines):
        room.add(line(word("more", place.language, number=len(lines) - shown), ""))
    return {
        "text": notification(title, "", place, mentioned=False),
        "cardsV2": [card(key, COLOURS[Level.P2], title, "", room.widgets)],
        "thread": {"threadKey": key},
    }


def without_card(refused: Frozen, told: Sequence[Alert]) -> str | None:
    """Return the body of a refused message as text alone; None if it was that already.

    Args:
        told: the alerts that it tells of.
    """
    body = json.loads(refused.body)
    if body.pop("cardsV2", None) is None:
        return None
    return as_bytes({**body, "text": f"{body['text']} {in_text(told)}".strip()}).decode()


def _of_incident(
    told: Sequence[Unsent], place: Place, finding: Finding | None, ticket: str
) -> Json:
    first = told[0]
    states = _latest(told)
    # What fires is the news; where nothing does, how it ended.
    shown = [alert for alert in states if alert.status == FIRING] or states
    title = f"{first.incident_level.name} · {shown[0].name}"
    if shown[0].status == RESOLVED:
        title += f" · {word('resolved', place.language)}"
    marks = marks_of(states, place.language)
    room, named = beside(marks), section_of(marks, place.language)
    more = {"acknowledge": "".join(place.ack_links.of(told)), "ticket": ticket}
    links = _links(shown[0], finding, place, more)
    if links:
        room.add(links)
    if finding:
        room.add(*why(finding, place))
    for alert in shown[:_ALERTS_SHOWN]:
        room.add(*_about(alert, place))
    if len(states) > _ALERTS_SHOWN:
        room.add(line(word("more", place.language, number=len(states) - _ALERTS_SHOWN), ""))
    # The buttons are what a hurried reader looks for last.
    widgets = [*room.widgets[1:], room.widgets[0]] if links else room.widgets
    wakes = first.live and first.level is Level.P0 and not first.woken
    # In a thread nobody would see that it has become urgent.
    thread = f"{first.incident}-p0" if wakes and first.told else first.incident
    return {
        "text": notification(title, first.service, place, mentioned=wakes),
        "cardsV2": [card(first.incident, _mark(first), title, first.service, widgets, named)],
        "thread": {"threadKey": thread},
    }


def _of_many(told: Sequence[Unsent], place: Place) -> Json:
    states = _latest(told)
    live = any(one.live for one in told)
    services = {one.service for one in told}
    kind = "storm" if live else "missed"
    title = word(kind, place.language, alerts=len(states), incidents=len(services))
    level = min(one.level for one in told)
    marks = marks_of(states, place.language)
    room, named = beside(marks), section_of(marks, place.language)
    links = [buttons({"acknowledge": url}, place) for url in place.ack_links.of(told)]
    acknowledge = [one for one in links if one]
    room.add(*acknowledge)
    whose = defaultdict(list)
    for alert in states:
        whose[alert.name, alert.status].append(alert.service or "-")
    most = sorted(whose.items(), key=lambda item: -len(item[1]))[: WIDGETS // 4]
    for (name, status), theirs in most:
        said = ", ".join(sorted(set(theirs)))
        room.add(line(f"{len(theirs)} x {name} · {word(status, place.language)}", said))
    widgets = [*room.widgets[len(acknowledge) :], *acknowledge]
    text = notification(f"{level.name} · {title}", "", place, mentioned=live and level is Level.P0)
    mark = COLOURS[level] if live else OVER
    key = f"storm-{told[0].change.id}"
    return {
        "text": text,
        "cardsV2": [card(key, mark, f"{level.name} · {title}", "", widgets, named)],
        "thread": {"threadKey": key},
    }


def _latest(told: Sequence[Unsent]) -> list[Alert]:
    """Return each alert once, as it was told last."""
    return list({one.change.alert.identity: one.change.alert for one in told}.values())


def _about(alert: Alert, place: Place) -> list[Json]:
    said = alert.annotations.get("summary") or alert.name
    widgets = [line(f"{alert.name} · {word(alert.status, place.language)}", said)]
    if description := alert.annotations.get("description"):
        widgets.append({"textParagraph": {"text": in_card(description, PARAGRAPH)}})
    if route := next((alert.labels[key] for key in _ROUTES if alert.labels.get(key)), ""):
        widgets.append(line(word("route", place.language), route))
    if alert.status == RESOLVED and alert.ends_ns:
        lasted_s = max(0, alert.ends_ns - alert.starts_ns) // 10**9
        widgets.append(line(word("lasted", place.language), f"{lasted_s} s"))
    else:
        widgets.append(line(word("since", place.language), _clock(alert.starts_ns)))
    return widgets


def _links(
    alert: Alert, finding: Finding | None, place: Place, more: Mapping[str, str]
) -> Json | None:
    # An address is short: of names that are not, there is no button.
    matchers = quote(_matchers(alert)[:LONGEST_LINK], errors="replace")
    silence = f"#/silences/new?filter={matchers}"
    targets = {
        "acknowledge": more["acknowledge"],
        "open_incident": incident_url(finding, place),
        "ticket": more["ticket"],
        "dashboard": absolute(alert.annotations.get("dashboard_url", ""), place.grafana_url),
        "runbook": absolute(alert.annotations.get("runbook_url", ""), place.public_url),
        "silence": place.alertmanager_url and f"{place.alertmanager_url}/{silence}",
    }
    return buttons(targets, place)


def _matchers(alert: Alert) -> str:
    wanted = {"alertname": alert.name, "service_name": alert.service}
    return "{" + ",".join(f"{key}={json.dumps(value)}" for key, value in wanted.items()) + "}"


def _mark(one: Unsent) -> str:
    return COLOURS[one.incident_level] if one.live else OVER


def _clock(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"
