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
    cpu_share: float
    """CPU seconds per second of stall, 0.0 for leaves that are no stall."""

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
    """What happened, for the sentence; `{site}` `{what}` `{resource}` are filled in."""
    proof: str
    """The evidence that tells this cause from its nearest confusion."""
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
        lambda case: case.kind == "leak",
        "connections taken at {site} are never given back: their requests are over",
        "the holders' requests have ended, the connections are still out",
        (
            "Close the session on every path: `async with Session() as session:` at {site}.",
            "Restarting frees the connections; it will happen again after as many leaks.",
        ),
    ),
    Cause(
        "A1c",
        "Nested checkout: requests hold a connection and wait for a second one",
        lambda case: case.kind == "cycle" and case.through("db.pool:"),
        "requests that hold a connection of {resource} wait for a second one of the same pool",
        "the same requests hold and wait, so that none can go on",
        ("Pass the session on instead of opening another one inside it.",),
    ),
    Cause(
        "F1",
        "Broker unreachable, frozen or blocked",
        lambda case: case.peer == "broker" and case.kind in ("ext", "stall", "run"),
        "calls to the message broker do not return (at {site})",
        "the code that does not return is the broker's client library",
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
        "the process burned CPU for most of the stall",
        ("Move the work to a process pool, or cut it into pieces with a bound on the input.",),
    ),
    Cause(
        "B1",
        "Blocking call on the event loop",
        lambda case: case.kind == "stall",
        "{what} blocks the event loop at {site}: nothing else can run meanwhile",
        "the loop stood still while the process used next to no CPU: it waited inside a call",
        (
            "Await an asynchronous client there, or run the call with `asyncio.to_thread`.",
            "Give the call a timeout: without one, one slow answer stops every request.",
        ),
    ),
    Cause(
        "A2b",
        "Lock contention in the database",
        lambda case: case.kind == "session" or (case.through("db.lock:") and case.peer != "llm"),
        "{what} keeps a lock that requests wait for ({resource})",
        "PostgreSQL names the session that blocks the waiting ones (pg_blocking_pids)",
        (
            "End the blocking session: `SELECT pg_terminate_backend(<pid>)`.",
            "Set lock_timeout and idle_in_transaction_session_timeout; keep transactions short.",
        ),
    ),
    Cause(
        "B3",
        "LLM slow, without a timeout",
        lambda case: case.peer == "llm" and not case.crowded,
        "calls to {what} take longer than the gateway waits (at {site})",
        "the blamed spans are LLM calls that were still open when the gateway gave up",
        (
            "Bound the call (15 s) with a fallback, behind a circuit breaker.",
            "Close the transaction before the call: it must not hold a database connection.",
        ),
    ),
    Cause(
        "A1b",
        "Pool too small for the load",
        lambda case: case.crowded and case.through("db.pool:"),
        "{resource} is too small for the load: every holder is brief, together they fill it",
        "many short holds, none of them out of the ordinary, and the pool full throughout",
        (
            "Enlarge the pool, within what PostgreSQL can take, or slow the caller down.",
            "Give batch jobs a pool of their own, so that daytime requests keep theirs.",
        ),
        of_a_crowd=True,
    ),
    Cause(
        "A2a",
        "Long-running query",
        lambda case: case.peer == "db" and case.kind == "ext",
        "{what} runs longer than the gateway waits (at {site})",
        "the statement was running, and PostgreSQL reported no lock that it waited for",
        ("Look at its plan (EXPLAIN ANALYZE); set statement_timeout below the gateway's limit.",),
    ),
    Cause(
        "D1",
        "External API down or slow",
        lambda case: case.peer == "http" and case.kind in ("ext", "run"),
        "calls to {what} take longer than the gateway waits (at {site})",
        "the blamed spans are outgoing calls that were still open when the gateway gave up",
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
