"""What every message has: where it is read, its notification, its card around the widgets.

Source: the discovery document of chat.v1, `Message` and `GoogleAppsCardV1Card`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from why504.alerts.alert import Level
from why504.alerts.cards.ack_links import AckLinks
from why504.alerts.cards.text import in_card, in_message, in_title, link
from why504.alerts.cards.widgets import LINE, Json, line
from why504.alerts.cards.words import ENGLISH, word
from why504.alerts.rooms.finding import Finding

COLOURS: Final = {Level.P0: "🔴", Level.P1: "🟠", Level.P2: "🟡"}
OVER: Final = "🟢"
PARAGRAPH: Final = 1_200
"""Characters."""
_TITLE: Final = 80
_STEPS: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where cards are read, and where their buttons lead."""

    language: str = ENGLISH
    mention: str = ""
    """Who is woken by a P0: `users/all` or `users/<number>`; nobody if empty."""
    explorer_url: str = ""
    alertmanager_url: str = ""
    grafana_url: str = ""
    """Where paths of dashboards begin."""
    public_url: str = ""
    """Where paths of runbooks begin: this router, as people reach it."""
    link_hosts: frozenset[str] = frozenset()
    """Hosts that buttons may lead to."""
    ack_links: AckLinks = field(default_factory=AckLinks)


def notification(title: str, service: str, place: Place, *, mentioned: bool) -> str:
    """Return the line of a notification; the only place from which anybody is mentioned."""
    said = in_message(" ".join(filter(None, [title, service])), LINE)
    return f"<{place.mention}> {said}" if mentioned and place.mention else said


def card(
    key: str, mark: str, title: str, subtitle: str, widgets: Sequence[Json],
    *more: Json,
) -> Json:  # fmt: skip
    """Return a card; `more` are sections below its widgets."""
    header = {"title": f"{mark} {in_title(title, _TITLE)}", "subtitle": in_title(subtitle, _TITLE)}
    sections = [{"widgets": list(widgets)}, *more]
    return {"cardId": key, "card": {"header": header, "sections": sections}}


def buttons(targets: Mapping[str, str], place: Place) -> Json | None:
    """Return buttons with names of words.py that lead where they may; None without any."""
    shown = [
        {"text": word(key, place.language), "onClick": {"openLink": {"url": url}}}
        for key, told in targets.items()
        if (url := link(told, place.link_hosts))
    ]
    return {"buttonList": {"buttons": shown}} if shown else None


def why(finding: Finding, place: Place) -> list[Json]:
    """Return widgets that tell a cause."""
    label = f"{word('cause', place.language)} · {finding.cause} {finding.title}"
    widgets = [line(label, finding.sentence, PARAGRAPH)]
    if finding.chain:
        steps = [in_card(step, LINE) for step in finding.chain[:_STEPS]]
        widgets.append({"textParagraph": {"text": "<br>↳ ".join(steps)}})
    return widgets


def incident_url(finding: Finding | None, place: Place) -> str:
    """Return where the explorer shows an incident; empty without an explorer."""
    if not place.explorer_url or finding is None:
        return place.explorer_url
    told = {"incident": finding.incident_id, "trace": finding.trace_id}
    return f"{place.explorer_url}?{urlencode(told, errors='replace')}"


def absolute(told: str, base: str) -> str:
    """Return where a rule's path leads: it can't know where whoever runs it has put things."""
    return f"{base.rstrip('/')}{told}" if base and told.startswith("/") else told
