"""What goes to a room: what has to be told, and the messages that are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from why504.alerts.alert import Alert, Level

MAIN: Final = "main"
"""The room that is told everything."""
SECOND: Final = "second"
"""The room that is told what the first one does not hear."""
ROOMS: Final = (MAIN, SECOND)

NEWS: Final = "news"
"""A message that tells changes or a cause; the others tell of an incident once each."""
ELSEWHERE: Final = "elsewhere"
"""A P0 that is not in the first room in time, told in the second."""
ESCALATION: Final = "escalation"
"""A P0 that nobody acknowledged in time."""
ACKNOWLEDGED: Final = "acknowledged"
"""Who looks after it."""


@dataclass(frozen=True, slots=True)
class Change:
    """An alert that began or ended, and that nobody was told of yet."""

    id: int
    alert: Alert
    taken_ns: int


@dataclass(frozen=True, slots=True)
class Unsent:
    """A change with what is known of its incident."""

    change: Change
    level: Level
    incident: str
    """Key of the incident; of its thread, too."""
    service: str
    opened_ns: int
    incident_level: Level
    """The most urgent that the incident has been."""
    told: int
    """In how many messages the incident was told already."""
    woken: bool
    """Whether somebody was mentioned because of it."""
    live: bool
    """Whether anything of the incident still fires."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A message as it will be sent, and what it tells."""

    request_id: str
    """The room takes a message of one id once."""
    body: str
    """JSON."""
    level: Level
    changes: Sequence[int]
    incidents: Sequence[str]
    explained: Sequence[str] = ()
    """Incidents whose cause it tells."""
    closed: Sequence[str] = ()
    """Incidents of which it tells what they did."""
    room: str = MAIN
    kind: str = NEWS


class Over(NamedTuple):
    """A P0 incident of which nothing fires any more."""

    key: str
    service: str
    opened_ns: int
    ended_ns: int


class Known(NamedTuple):
    """What is known of an incident."""

    service: str
    level: Level
    told: int
    """In how many messages it was told."""
    opened_ns: int


@dataclass(frozen=True, slots=True)
class Frozen:
    """A message that is on disk: the same bytes under the same id until the room has it."""

    id: int
    request_id: str
    body: str
    level: Level
    attempts: int


class Backlog(NamedTuple):
    """What is not in the room yet, of one level."""

    changes: int
    oldest_s: float
    """How long ago the oldest of them was taken."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message and what became of it."""

    request_id: str
    level: Level
    told: Sequence[Alert]
    """Every alert that it tells, those that it only counts too."""
    state: str
    """`waiting`, `delivered` or `dead`."""
    attempts: int
    frozen_ns: int
    ended_ns: int | None
    reason: str
    """Why it is dead, or was not taken the last time."""
    body: str
    room: str
