"""What the engine reasons about: evidence in, findings out. Frozen, no I/O, units in the names.

Times are Unix nanoseconds (`*_ns`) on the clock of whoever took them; durations seconds (`*_s`).
Ids are lower-case hex, as W3C Trace Context writes them: trace 32 digits, span 16.
Definitions: docs/how-blame-works.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from why504.measured import Measured

AttributeValue = (
    str | bool | int | float | Sequence[str] | Sequence[bool] | Sequence[int] | Sequence[float]
)
LEAST_SHARE = 0.005
"""What has less of the lost time reads as 0 %: people are not told of it."""

Attributes = Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, `start_ns` included, `end_ns` excluded."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Site:
    """A line of code: where something was blocked, held or checked out."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


# --- evidence ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """A span of any tracer; still open when `end_ns` is None (told by snapshots only)."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    """server, client, internal, producer or consumer."""
    start_ns: int
    end_ns: int | None
    last_seen_ns: int
    """The latest moment at which it is known to have been as told: `end_ns` once it ended."""
    service: str
    instance: str
    """`service.instance.id`; empty when the resource has none."""
    status: str = "unset"
    attributes: Attributes = field(default_factory=dict)
    site: Site | None = None
    stack: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What waits, holds and stalls have in common: an interval on a resource, told by the probe."""

    trace_id: str
    span_id: str
    """Id of the record itself, the same in every snapshot of it."""
    parent_id: str | None
    """Span of the same trace that waited, held or stalled; None outside any request."""
    resource: str
    start_ns: int
    end_ns: int | None
    last_seen_ns: int
    service: str
    instance: str
    outcome: str
    attributes: Attributes = field(default_factory=dict)
    site: Site | None = None
    stack: str = ""
    """Innermost frame first; what the holder does now, for an open hold."""


@dataclass(frozen=True, slots=True)
class Wait(Record):
    """Somebody wanted `resource` from `start_ns` on and did not have it yet."""


@dataclass(frozen=True, slots=True)
class Hold(Record):
    """Somebody had one unit of `resource`; `site` is where it was taken."""


@dataclass(frozen=True, slots=True)
class Stall(Record):
    """An event loop ran one thing and nothing else; `site` is the line that did not return."""


@dataclass(frozen=True, slots=True)
class Vitals(Record):
    """What one process used and lacked from `start_ns` to `end_ns`; attributes of names.py."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was read of a window that is too large to be read whole: some for many alike."""

    stands_for: Mapping[str, float]
    """Trace id -> for how many alike it stands, at least 1.0; a trace not named for itself."""
    holders: Mapping[str, Any]
    """Resource key -> how many held it when, of all (`diagnose.steps.Presence`)."""
    requests: int
    """How many requests there were in all."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything known about a window, merged: one row a span or record."""

    window: Window
    spans: Sequence[Span] = ()
    """Spans of applications and gateways; gateway spans have service `gateway`."""
    waits: Sequence[Wait] = ()
    holds: Sequence[Hold] = ()
    stalls: Sequence[Stall] = ()
    heard_ns: Mapping[str, int] = field(default_factory=dict)
    """Instance -> the last moment at which it sent anything: what is open was open until then."""
    vitals: Sequence[Vitals] = ()
    sample: Sample | None = None
    """None where everything was read."""
    settled_ns: int | None = None
    """Until when all is seen that was sent: what is younger a store finds later; None: at once."""
    measured: Measured | None = None
    """What metrics tell of the window; None where no server of metrics was named."""

    @classmethod
    def of(
        cls, items: Sequence[Span | Record], window: Window, heard_ns: Mapping[str, int]
    ) -> Evidence:
        """Return items of all kinds as evidence, each kind in the order given."""
        return cls(
            window=window,
            spans=[item for item in items if isinstance(item, Span)],
            waits=[item for item in items if isinstance(item, Wait)],
            holds=[item for item in items if isinstance(item, Hold)],
            stalls=[item for item in items if isinstance(item, Stall)],
            heard_ns=heard_ns,
            vitals=[item for item in items if isinstance(item, Vitals)],
        )


# --- findings ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where blame comes to rest."""

    kind: str
    """run (own code), stall (own code that blocks a loop), ext (a peer), leak (a hold whose
    request ended), session (a database session outside the application), starved (a process that
    could not run), backoff (a pause between two attempts), unknown, cycle."""
    what: str
    """Peer, resource or operation, for people: `llm groq`, `db SELECT friendship_status`."""
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class Blame:
    """Seconds of the victims' time that came to rest on one leaf; `share` is 0.0 to 1.0."""

    leaf: Leaf
    seconds: float
    share: float
    victims: int
    """How many victims lost more time here than anywhere else."""
    trace_ids: Sequence[str] = ()
    """Up to five traces in which the leaf can be seen, most blamed first."""


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One step of the way from the victims to the cause, with its evidence."""

    what: str
    """`212 x 504 on POST /v1/conversations/end and 3 more routes`, `waiting for db.pool:main`."""
    seconds: float
    evidence: Sequence[str] = ()
    """Sentences a person can check: counts, ages, sites, trace ids."""


@dataclass(frozen=True, slots=True)
class Victim:
    """One request that somebody gave up on, and what it was doing then."""

    trace_id: str
    span_id: str
    route: str
    start_ns: int
    gave_up_ns: int
    status: int
    reached_app: bool
    """Whether the application has any span of it."""
    blocked_in: str
    """The blocking span, for people: `waiting for db.pool:main`, `SELECT friendship_status`."""
    blocking_span_id: str | None
    held_by: str
    """Its holder, for people: route, trace, age, site; empty where nobody held it."""
    holder_trace_id: str | None
    leaf: Leaf
    """Where most of its time came to rest."""
    explained_s: float
    unknown_s: float
    how: str = "timeout"
    """timeout (the gateway gave up, or a client after as long), slow (it took longer than was
    asked for), in flight (still open)."""
    stands_for: float = 1.0
    """For how many victims it stands, itself included: more than one in a sample."""
    service: str = ""
    """Whose request it was, or whose event loop it waited for; empty where nobody tells."""

    @property
    def explained(self) -> bool:
        """Whether more of its time came to rest on a known leaf than on an unknown one."""
        return self.explained_s > self.unknown_s


@dataclass(frozen=True, slots=True)
class Finding:
    """The named cause of an incident, with its evidence and counter-evidence."""

    cause: str
    """Row of the taxonomy (`F1`), or `UNKNOWN`."""
    title: str
    mechanism: str
    """pool, loop, lock, limiter, queue, budget, none or unknown."""
    site: Site | None
    sentence: str
    chain: Sequence[ChainLink]
    evidence_for: Sequence[str]
    evidence_against: Sequence[str]
    advice: Sequence[str]
    confidence: float
    """Share of all blame, 0.0 to 1.0, that came to rest on the leaves of this cause."""
    leaves: Sequence[Leaf] = ()
    """Of the cause, most blame first; none where no cause is named."""


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What would have become of an incident's victims, had one thing been otherwise."""

    change: str
    """For people, behind `if`: `LLM groq took at most 15 s`."""
    victims: int
    """How many victims were played again."""
    left: int
    """How many of them would have timed out all the same."""
    new: int
    """How many requests that were answered in time would have timed out instead."""


@dataclass(frozen=True, slots=True)
class Replay:
    """An incident played again, each time with one change."""

    same: int
    """How many requests fare as they did when it is played unchanged ..."""
    requests: int
    """... of how many."""
    tried: Sequence[Counterfactual] = ()
    """Most helpful first; empty where nothing can be said."""
    why_not: str = ""
    """Why nothing can be said of changes, for people; empty where something can."""


@dataclass(frozen=True, slots=True)
class Node:
    """Somebody or something in a wait-for graph."""

    id: str
    """Unique in its graph, and the same whenever the same evidence is read."""
    kind: str
    """victims (of one route), resource, holders (requests of one route that had it), the kind of a
    leaf, or several (leaves of several kinds)."""
    what: str
    """For people: `POST /v1/suggest`, `db.pool:main`, `llm groq`, `and 7 more places`."""
    requests: int
    """How many victims or holders it stands for; 0 for a resource or leaf."""
    seconds: float
    """Blame that went through it, or came to rest there."""
    site: Site | None = None
    evidence: Sequence[str] = ()
    """Sentences a person can check."""
    trace_ids: Sequence[str] = ()
    """Up to five traces in which it can be seen, most blamed first."""


@dataclass(frozen=True, slots=True)
class Edge:
    """`source` waited for, or was held up by, `target`."""

    source: str
    target: str
    seconds: float
    """Of the victims' lost time, that went this way; never more than there is, though in a ring the
    same seconds come by again and again."""


@dataclass(frozen=True, slots=True)
class WaitGraph:
    """From the victims' routes through resources and their holders to where time was lost."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]


@dataclass(frozen=True, slots=True)
class Incident:
    """A burst of victims and why: the unit of the report, the card and the explorer."""

    id: str
    window: Window
    victims: Sequence[Victim]
    blames: Sequence[Blame]
    """Most blame first; seconds sum to `blame_in_s`."""
    finding: Finding
    blame_in_s: float
    blame_out_s: float
    caveats: Sequence[str] = ()
    """What to bear in mind, for people: evidence that nobody told, clocks that disagreed."""
    replay: Replay | None = None
    """What would have helped; None where nobody asked for it."""
    graph: WaitGraph | None = None
    """Who waited for whom; None where nobody made it."""
    people: int | None = None
    """How many people the victims' requests came from; None where no span tells."""
    counted: int | None = None
    """504s by the gateways' counters, from the first of its burst to the last, whatever their
    cause; None where no metrics tell."""

    @property
    def count(self) -> int:
        """How many requests were hit, also where `victims` are a sample of them."""
        return how_many(self.victims)

    @property
    def routes(self) -> list[str]:
        """Routes of the victims, most hit first."""
        counts: dict[str, float] = {}
        for victim in self.victims:
            counts[victim.route] = counts.get(victim.route, 0) + victim.stands_for
        return sorted(counts, key=lambda route: (-counts[route], route))


def how_many(victims: Iterable[Victim]) -> int:
    """Return for how many requests some victims stand."""
    return round(math.fsum(victim.stands_for for victim in victims))
