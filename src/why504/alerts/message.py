"""What goes to a room: what has to be told, and the messages that are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from why504.alerts.alert import Alert, Level


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


class Known(NamedTuple):
    """What is known of an incident."""

    service: str
    level: Level
    told: int
    """In how many messages it was told."""


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
    state: str
    """`waiting`, `delivered` or `dead`."""
    attempts: int
    frozen_ns: int
    ended_ns: int | None
    reason: str
    """Why it is dead, or was not taken the last time."""
    body: str
    told: Sequence[Alert] = ()
    """Every alert that it tells, those that it only counts too."""
