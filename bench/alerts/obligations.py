"""The oracle: what was acknowledged is owed to the room; once, and the begin before the end.

After the model of Vector's tests: an acknowledged event is an obligation, and a judge who knows
nothing of the router looks for each in what came out. Pure functions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

FIRING: Final = "firing"
RESOLVED: Final = "resolved"

Telling = tuple[str, str]
"""Fingerprint and status of an alert."""


@dataclass(frozen=True, slots=True)
class Told:
    """A message and what it tells."""

    request_id: str
    tellings: Sequence[Telling]


@dataclass(slots=True)
class Judgement:
    """What went wrong."""

    owed: int = 0
    lost: list[Telling] = field(default_factory=list)
    """Acknowledged, and neither in the room nor among the dead letters."""
    repeated: int = 0
    """Messages that are in the room already."""
    twice: list[Telling] = field(default_factory=list)
    """Told by two different messages."""
    disordered: list[str] = field(default_factory=list)
    """Fingerprints that are told to fire after they were told to be over."""


def judge(
    acknowledged: Mapping[str, Sequence[str]], room: Sequence[Told], dead: Sequence[Told] = ()
) -> Judgement:
    """Return what is wrong in a room.

    Args:
        acknowledged: by fingerprint the statuses that were answered 200, in their order. An alert
            that is over is told as over: its begin may be left out.
        room: messages in the order in which they came.
        dead: messages that will never come, each with a reason.
    """
    judgement = Judgement(owed=len(acknowledged))
    told: set[Telling] = set()
    seen: set[str] = set()
    for message in room:
        if message.request_id in seen:
            judgement.repeated += 1
            continue
        seen.add(message.request_id)
        tellings = set(message.tellings)
        judgement.twice += tellings & told
        judgement.disordered += _late_begins(tellings, told)
        told |= tellings
    kept = told.union(*(message.tellings for message in dead))
    last = ((fingerprint, statuses[-1]) for fingerprint, statuses in acknowledged.items())
    judgement.lost = [owed for owed in last if owed not in kept]
    return judgement


def _late_begins(tellings: Collection[Telling], before: Collection[Telling]) -> Iterator[str]:
    for fingerprint, status in tellings:
        if status == FIRING and (fingerprint, RESOLVED) in before:
            yield fingerprint


def tellings_of(message: Mapping[str, Any]) -> list[Telling]:
    """Return what a message of Google Chat tells: lines `2 firing` with fingerprints."""
    found: list[Telling] = []
    for widget in widgets_of(message):
        told = widget.get("decoratedText", {})
        number, _, status = told.get("topLabel", "").partition(" ")
        if number.isdigit() and status in (FIRING, RESOLVED):
            found += [(fingerprint, status) for fingerprint in told["text"].split()]
    return found


def widgets_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all widgets of a message."""
    return [
        widget
        for card in message.get("cardsV2", ())
        for section in card["card"].get("sections", ())
        for widget in section.get("widgets", ())
    ]
