"""What happened at one moment, as marks with their words above the rows of a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dashboards.draw.clock import Clock
from dashboards.draw.palette import ALARM, Ink
from dashboards.draw.text import plain
from dashboards.language import Say
from dashboards.words import timeline as words
from why504.diagnose.timeline import Moment
from why504.model import Incident

LANE_HEIGHT: Final = 16
LANES: Final = 8
"""So many marks have words; each has its own line, so that they never overlap."""
MOST: Final = 60
_WORDS: Final = 80


@dataclass(frozen=True, slots=True)
class Mark:
    """One moment."""

    at_ns: int
    words: str
    color: str
    alert: bool = False


def marks(
    incident: Incident,
    moments: Sequence[Moment],
    alerts: Sequence[tuple[int, str]],
    clock: Clock,
    say: Say,
    ink: Ink,
) -> list[Mark]:
    """Return what is on the axis, in order of time, at most 60; the first 504 is among them."""
    found = [*_first_504(incident, say), *_moments(moments, say, ink), *_alerts(alerts, say)]
    shown = sorted((mark for mark in found if clock.shows(mark.at_ns)), key=lambda m: m.at_ns)
    return shown[:MOST]


def _first_504(incident: Incident, say: Say) -> Iterator[Mark]:
    if incident.victims:
        first_ns = min(victim.gave_up_ns for victim in incident.victims)
        yield Mark(first_ns, say(words.FIRST_504), ALARM)


def _moments(moments: Sequence[Moment], say: Say, ink: Ink) -> Iterator[Mark]:
    for one in moments:
        said = words.MOMENTS.get(one.kind)
        what = plain(one.what, _WORDS)
        yield Mark(one.at_ns, say(said, what=what) if said else what, ink.strong)


def _alerts(alerts: Iterable[tuple[int, str]], say: Say) -> Iterator[Mark]:
    for at_ns, name in alerts:
        yield Mark(at_ns, say(words.MOMENTS["alert"], what=plain(name, _WORDS)), ALARM, alert=True)


def headroom(found: Sequence[Mark]) -> float:
    """Return how many pixels the words of marks need."""
    return LANE_HEIGHT * min(len(found), LANES) + 4.0


def data(found: Sequence[Mark], clock: Clock) -> list[dict[str, Any]]:
    """Return the marks; those that have no line of their own share the last one, without words."""
    return [
        {
            "t": clock.ms(mark.at_ns),
            "y": LANE_HEIGHT * (min(place, LANES - 1) + 0.5),
            "words": mark.words if place < LANES else "",
            "color": mark.color,
            "alert": mark.alert,
            "share": clock.share(mark.at_ns),
            "what": mark.words,
            "when": clock.say(mark.at_ns),
        }
        for place, mark in enumerate(found)
    ]
