"""The taxonomy: every cause that can be named, as a table. A cause is a row; `judge` reads them.

The first row that matches a leaf names it, so the order is from the particular to the general.
Pages: docs/causes/<id>.md. Why triggers and mechanisms are told apart: docs/how-blame-works.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from why504.diagnose.leaves import Resting

UNKNOWN: Final = "UNKNOWN"
CPU_BOUND_SHARE: Final = 0.7
"""A stall that burns this share of a core computes; one that burns less waits for somebody."""


@dataclass(frozen=True, slots=True)
class Case:
    """One leaf and what surrounds it: all that a row of the table may look at."""

    resting: Resting
    last_resource: str
    """Resource through which most of its blame came; empty when it came from the victims."""
    crowded: bool
    """Whether that resource's holders were many, each brief: nobody in particular is slow."""
    long: bool
    """Whether most of its time is in calls that took half of what the victims waited, or more."""
    locks_in_doubt: bool
    """Whether nobody asked PostgreSQL for waits for locks, or nobody can tell whose they were."""
    cpu_share: float
    """CPU seconds per second of stall, 0.0 where nobody told."""

    @property
    def kind(self) -> str:
        """Return the kind of the leaf."""
        return self.resting.leaf.kind

    @property
    def peer(self) -> str:
        """Return the kind of its peer."""
        return self.resting.peer

    def through(self, prefix: str) -> bool:
        """Return whether most of its blame came through a resource of this kind."""
        return self.last_resource.startswith(prefix)


@dataclass(frozen=True, slots=True)
class Cause:
    """One row of the taxonomy."""

    id: str
    title: str
    matches: Callable[[Case], bool]
    says: str
    """What happened, for the sentence; `{site}` `{what}` `{resource}` `{longest}` are filled in."""
    proof: str
    """The evidence that tells this cause from its nearest confusion; `{cpu}` is filled in too."""
    advice: Sequence[str]
    of_a_crowd: bool = False
    """Whether it is about how many there were, not about any one of them."""

    @property
    def page(self) -> str:
        """Return where it is explained, below the repository's root."""
        return f"docs/causes/{self.id}.md"


CAUSES: Final = (
    Cause(
        "A1a",
        "Connection leak: a session is never returned",
        lambda case: case.kind == "leak" and case.resting.leaf.what.startswith("db.pool:"),
        "connections taken at {site} are kept after their requests have ended",
        "a second and more after the holders' requests had ended, the connections were still out",
        (
            "Close the session on every path: `async with Session() as session:` at {site}.",
            "Restarting frees the connections; it will happen again after as many leaks.",
        ),
    ),
    Cause(
        "A1c",
        "Nested checkout: requests hold a connection and wait for a second one",
        lambda case: case.kind == "cycle" and case.through("db.pool:"),
        "requests that hold a connection wait for another one ({resource}), all for one another",
        "who holds a connection waits for one, however far the waiting is followed",
        ("Pass the session on instead of opening another one inside it.",),
    ),
    Cause(
        "F1",
        "Broker unreachable, frozen or blocked",
        lambda case: case.peer == "broker" and (case.kind == "stall" or case.long),
        "calls to the message broker take up to {longest} (at {site})",
        "the time was spent in calls to the broker, or inside its client library",
        (
            "Publish through the transactional outbox, never inside a request.",
            "Bound it: socket_timeout, stack_timeout and blocked_connection_timeout of 3 s.",
            "Check the broker: reachable, no memory or disk alarm (connection.blocked).",
        ),
    ),
    Cause(
        "A3",
        "CPU-bound work on the event loop",
        lambda case: case.kind == "stall" and case.cpu_share >= CPU_BOUND_SHARE,
        "{what} computes on the event loop at {site} and lets nothing else run",
        "meanwhile the process used {cpu} of a core: it computed",
        ("Move the work to a process pool, or cut it into pieces with a bound on the input.",),
    ),
    Cause(
        "B1",
        "Blocking call on the event loop",
        lambda case: case.kind == "stall",
        "{what} blocks the event loop at {site}: nothing else can run meanwhile",
        "meanwhile the process used {cpu} of a core: too little to have computed all the time",
        (
            "Await an asynchronous client there, or run the call with `asyncio.to_thread`.",
            "Give the call a timeout: without one, one slow answer stops every request.",
        ),
    ),
    Cause(
        "A2b",
        "Lock contention in the database",
        lambda case: (
            case.kind == "session"
            or (case.through("db.lock:") and case.peer not in ("llm", "http"))
        ),
        "{what} keeps {resource}, and requests wait for it",
        "PostgreSQL names the session that blocks the waiting ones (pg_blocking_pids)",
        (
            "End the blocking session: `SELECT pg_terminate_backend(<pid>)`.",
            "Set lock_timeout and idle_in_transaction_session_timeout; keep transactions short.",
        ),
    ),
    Cause(
        "B3",
        "LLM slow, without a timeout",
        lambda case: case.peer == "llm" and case.long,
        "{what} takes up to {longest} (called at {site})",
        "the time was spent in calls to the LLM that lasted for half of the victims' wait or more",
        (
            "Bound the call (15 s) with a fallback, behind a circuit breaker.",
            "Close the transaction before the call: it must not hold a database connection.",
        ),
    ),
    Cause(
        "A1b",
        "Pool too small for the load",
        lambda case: case.crowded and case.through("db.pool:"),
        "{resource} is too small for the load: most holders are brief, together they fill it",
        "most of the time it was held by many, each for a short time",
        (
            "Enlarge the pool, within what PostgreSQL can take, or slow the caller down.",
            "Give batch jobs a pool of their own, so that daytime requests keep theirs.",
        ),
        of_a_crowd=True,
    ),
    Cause(
        "A2a",
        "Long-running query",
        lambda case: (
            case.peer == "db"
            and case.kind == "ext"
            and case.long
            and not case.locks_in_doubt
            and not case.resting.leaf.what.startswith("database connect")
        ),
        "{what} runs for up to {longest} (called at {site})",
        "the statement was running, and PostgreSQL, asked all the time, told of no lock",
        ("Look at its plan (EXPLAIN ANALYZE); set statement_timeout below the gateway's limit.",),
    ),
    Cause(
        "D1",
        "External API down or slow",
        lambda case: case.peer == "http" and case.long,
        "{what} takes up to {longest} (called at {site})",
        "the time was spent in outgoing calls that lasted for half of the victims' wait or more",
        ("Bound the call with a timeout and a fallback.",),
    ),
)
"""Rows from the particular to the general."""

NOTHING_TO_BLAME: Final = Cause(
    "N0",
    "Nothing to blame",
    lambda _case: False,
    "no request timed out",
    "clients that hung up early and restarts are no fault of the service",
    (),
)
"""The control: an answer of its own, never an incident."""


def judge(case: Case) -> Cause | None:
    """Return the first row that matches a leaf, or None when no row may be named."""
    if case.kind == "unknown":
        return None
    return next((cause for cause in CAUSES if cause.matches(case)), None)
