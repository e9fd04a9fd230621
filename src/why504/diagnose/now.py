"""What a live view answers: plain values, frozen. Ages are seconds, on the clock of whoever told.

An age ends when its process was last heard of: it may be some seconds short, and is never invented.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from why504.measured import Measured
from why504.model import Incident, Site


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has what others wait for; of several the one that has had it longest."""

    trace_id: str
    route: str
    """Route of its request; of a lock's session what PostgreSQL says of it."""
    age_s: float
    """For how long it has had it."""
    site: Site | None
    """Where it was taken; for an event loop, the line that does not return."""
    request_ended: bool
    """True for a leak: its request is over."""


class Stuck(NamedTuple):
    """One open request (or job), and what it does now; a tuple, for there may be thousands."""

    trace_id: str
    span_id: str
    service: str
    instance: str
    route: str
    age_s: float
    state: str
    """runs, calls, waits (for a resource), behind (a blocked event loop), blocks (it), pauses
    (between two attempts)."""
    does: str
    """The same for people: `waits for db.pool:main`, `in call to LLM groq llama`."""
    site: Site | None
    """The line of its code that it is at."""
    waits_for: str
    """Resource, directly or through the call it awaits; empty if it waits for none."""
    waits_s: float
    held_by: Holder | None
    gateway_status: int | None
    """What the gateway has answered already (504), None while it waits too."""
    frees: int
    """Requests that wait, directly or through others, for something that this one has."""
    asked: bool = True
    """Whether somebody waits for its answer; False for a job."""


class Holding(NamedTuple):
    """Somebody who has a unit of a resource, told once it is old or somebody waits for it."""

    resource: str
    instance: str
    """Of a pool or loop, the process that it is in; empty for what processes share."""
    trace_id: str
    route: str
    """As `Holder` has it."""
    age_s: float
    """For how long it has had it."""
    site: Site | None
    """Where it was taken; for an event loop, the line that does not return."""
    request_ended: bool
    waiters: int
    """Of the resource: all of them wait for any of its holders."""
    does: str = ""
    """What its request does now; empty where that is over, or not known."""
    at: Site | None = None
    """The line that it is at, doing so."""


@dataclass(frozen=True, slots=True)
class Busy:
    """A resource that somebody has or waits for."""

    resource: str
    instance: str
    """Of a pool or loop, the process that it is in; empty for what processes share."""
    waiters: int
    longest_wait_s: float
    units: int
    """Known to be held; a hold is told once it is old or somebody waits."""
    capacity: int | None
    oldest: Holder | None


@dataclass(frozen=True, slots=True)
class Now:
    """Everything at one moment."""

    at_ns: int
    open: Sequence[Stuck]
    """Whom most wait for first, then the oldest."""
    resources: Sequence[Busy]
    """Most waiters first."""
    timeouts_per_s: Sequence[int]
    """504s of the last 60 seconds by the second, the latest last, on the gateway's clock."""
    victims: int
    """Requests that timed out, or are open for too long, in the last two minutes."""
    explained: int
    """So many of them `incidents` are made of, evenly chosen."""
    incidents: Sequence[Incident]
    """What the engine says of those: usually one; empty without victims."""
    silent: Sequence[str]
    """Instances not heard of for a minute: what was open in them is not told here."""
    kept: int
    """Spans and records that the view is made of."""
    dropped: int
    """Those that had to go before their time since the view began: ended ones first."""
    refused: int
    """Those that were told with a time that can't be."""
    holders: Sequence[Holding] = ()
    """Those of the resource with most waiters first, of it who has had it longest; at most 500."""
    limit_s: float | None = None
    """How long the gateway waits: as it told last, else as it waited before the latest 504s."""
    heard_ns: int | None = None
    """When a process that serves requests was last heard of; None: not within 15 minutes."""
    lag_s: float = 0.0
    """So much earlier than it was asked for is `at_ns`: what is younger the store does not find."""
    measured: Measured | None = None
    """Gauges, as they were told last before it was asked for; None where there are none."""
