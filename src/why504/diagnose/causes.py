"""The taxonomy: every cause that can be named, as a table. A cause is a row; `judge` reads them.

The first row that matches a leaf names it, so the order is from the particular to the general.
Pages: docs/causes/<id>.md. Why triggers and mechanisms are told apart: docs/how-blame-works.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from why504 import names
from why504.diagnose.leaves import POOLS, Resting
from why504.diagnose.peers import CLIENT
from why504.diagnose.starvation import COLLECTING_SHARE, STARVED_SHARE

UNKNOWN: Final = "UNKNOWN"
CPU_BOUND_SHARE: Final = 0.5
"""A stall that burns this share of a core computes, on a busy machine too; else it waits."""
MUCH_OF_IT: Final = 1 / 3
"""Threads that use this share of what a busy process uses compute; the blocked use nothing."""
MANY_CALLS: Final = 10
"""So many calls of one kind in one request are a loop over rows."""
SLOWER: Final = 2.0
"""A call that takes this many times what it used to is slow; below that it is as ever."""
TOO_LATE_SHARE: Final = 0.8
"""If the application answered so many of the victims well, only the limits did not fit."""
_OF_THE_PROCESS: Final = ("stall", "run", "starved")
"""Kinds of leaves that are of a process itself, not of a peer."""


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
    cpu_share: float | None
    """Cores in use during its stalls, or by the threads that were at it; None if nobody told."""
    gil_kept: bool
    """Whether its stalls, for most of their time, let no other thread of Python run."""
    calls_per_request: float
    """How many spans of it one request has, on average."""
    refused: bool
    """Whether most of its time is attempts that got 429, or pauses after them."""
    to_itself: bool
    """Whether most of it is calls of a process to its own port."""
    slower: float | None
    """How many times longer it takes than before the incident; None where nobody knows."""
    answered_share: float
    """Share of the victims that the application answered well, after the gateway had given up."""
    bounded: bool
    """Whether its client has a timeout, as told by the span of the call."""
    keeps_threads: bool
    """Whether most waiting for worker threads rests on it, and is as long as a victim's wait."""
    blocked: bool
    """Whether it was in threads that waited inside a call: what lacks a core wants one."""
    busy_share: float
    """Cores that its process used during the incident; 0.0 where nobody told."""
    gc_share: float
    """Share of its CPU time that the process spent collecting garbage."""
    starved_share: float
    """Share of the time it could have run in which the process had no core."""
    thrashing: bool
    """Whether its memory was full, and pages came back from disk all the time."""

    @property
    def kind(self) -> str:
        """Return the kind of the leaf."""
        return self.resting.leaf.kind

    @property
    def peer(self) -> str:
        """Return the kind of its peer."""
        return self.resting.peer

    def through(self, *prefixes: str) -> bool:
        """Return whether most of its blame came through a resource of these kinds."""
        return self.last_resource.startswith(prefixes)


@dataclass(frozen=True, slots=True)
class Cause:
    """One row of the taxonomy."""

    id: str
    title: str
    matches: Callable[[Case], bool]
    says: str
    """What happened, for the sentence; `{site}` `{what}` `{resource}` ... are filled in."""
    proof: str
    """The evidence that tells this cause from its nearest confusion."""
    advice: Sequence[str]
    mechanism: str = ""
    """How it reaches the victims, where that does not depend on what they waited for."""
    queue: str = ""
    """Beginning of the resource that its victims queue for, where few of them may be seen to."""
    of_a_crowd: bool = False
    """Whether it is about how many there were, not about any one of them."""
    of_the_process: bool = False
    """Whether it is about a process as a whole: lines are where it happened to be."""

    @property
    def page(self) -> str:
        """Return where it is explained, below the repository's root."""
        return f"docs/causes/{self.id}.md"


def _computes(case: Case) -> bool:
    """Return whether it burns CPU: all that a stalled process used, or much of a busy one's."""
    if case.kind == "stall":
        # While the GIL is kept nobody can tell the CPU time. C code that sleeps gives it back, as
        # a rule: what keeps it computes.
        return case.gil_kept if case.cpu_share is None else case.cpu_share >= CPU_BOUND_SHARE
    busy = case.busy_share >= CPU_BOUND_SHARE
    used = case.cpu_share or 0.0
    return case.kind == "run" and busy and used >= case.busy_share * MUCH_OF_IT


CAUSES: Final = (
    Cause(
        "A1a",
        "Connection leak: a session is never returned",
        lambda case: case.kind == "leak" and case.resting.leaf.what.startswith(POOLS),
        "connections taken at {site} are kept after their requests have ended",
        "a second and more after the holders' requests had ended, the connections were still out",
        (
            "Give it back on every path, by `async with`: the session, or the response, at {site}.",
            "Restarting frees the connections; it will happen again after as many leaks.",
        ),
    ),
    Cause(
        "A1c",
        "Nested checkout: requests hold a connection and wait for a second one",
        lambda case: case.kind == "cycle" and case.through(*POOLS) and not case.peer,
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
        "B2",
        "LLM refuses: too many requests (429)",
        lambda case: case.refused and case.peer == "llm",
        "{what} takes the requests' time (at {site})",
        "the LLM answered 429, and the time went into attempts and the pauses after them",
        (
            "Bound all attempts and pauses by one budget that is shorter than the gateway's limit.",
            "Fall back after it, and open a circuit breaker: more attempts make a quota worse.",
            "Honour Retry-After outside requests only: in a worker, with the database released.",
        ),
    ),
    Cause(
        "C1",
        "Memory: garbage collection or swapping takes the time",
        lambda case: (
            case.kind in _OF_THE_PROCESS and (case.gc_share >= COLLECTING_SHARE or case.thrashing)
        ),
        "the process is busy with its memory, not with requests (seen at {site})",
        "it collected garbage for {gc} of its CPU time, or swapped",
        (
            "Find what grows: compare two snapshots of tracemalloc; bound caches and batches.",
            "Restarting frees the memory; it will grow again.",
            "`gc.freeze()` after start-up, and fewer long-lived objects, make collections short.",
        ),
        mechanism="loop",
        of_the_process=True,
    ),
    Cause(
        "E1",
        "Too little CPU for the process",
        lambda case: (
            case.kind in _OF_THE_PROCESS
            and case.starved_share >= STARVED_SHARE
            and not case.blocked
        ),
        "the process is ready to run and gets no core (seen at {site})",
        "for {starved} of the time that it could have run it had no core: run queue or quota",
        (
            "Give it more: the container's CPU limit, fewer neighbours, more replicas.",
            "Don't search the code: the lines seen are where it happened to be.",
        ),
        mechanism="loop",
        of_the_process=True,
    ),
    Cause(
        "A3",
        "CPU-bound work that lets nothing else run",
        _computes,
        "{what} computes at {site}: one thread of Python runs at a time, so all else waits",
        "{computed}",
        ("Move the work to a process pool, or cut it into pieces with a bound on the input.",),
    ),
    Cause(
        "B1",
        "Blocking call on the event loop",
        lambda case: case.kind == "stall",
        "{what} blocks the event loop at {site}: nothing else can run meanwhile",
        "{rested}",
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
            or (case.through("db.lock:") and case.peer not in ("llm", "http", CLIENT))
        ),
        "{what} keeps {resource}, and requests wait for it",
        "PostgreSQL names the session that blocks the waiting ones (pg_blocking_pids)",
        (
            "End the blocking session: `SELECT pg_terminate_backend({pid})`.",
            "{session}",
        ),
    ),
    Cause(
        "G1",
        "Limits that don't fit: the gateway gives up before the application may finish",
        lambda case: (
            case.answered_share >= TOO_LATE_SHARE
            and not case.last_resource
            and case.kind in ("ext", "run")
            and case.peer not in ("db", "broker")
            and case.calls_per_request < MANY_CALLS
            and _as_ever(case)
        ),
        "the application answers, but later than the gateway waits; most time is {what}",
        "{answered} of the requests were answered well after the gateway had given up, "
        "and nothing in them took longer than it used to",
        (
            "Make limits a ladder: gateway longer than application, application longer than calls.",
            "See where they stand: `why504 doctor`.",
            "Move work that takes that long out of the request.",
        ),
        mechanism="budget",
    ),
    Cause(
        "B3",
        "LLM slow, without a timeout",
        lambda case: case.peer == "llm" and (case.long or case.kind == "backoff"),
        "{what} takes up to {longest} (called at {site})",
        "the time was spent with the LLM, in {spent}",
        (
            "Bound the call (15 s) with a fallback, behind a circuit breaker.",
            "Close the transaction before the call: it must not hold a database connection.",
        ),
    ),
    Cause(
        "A2c",
        "Many sequential queries (N+1)",
        lambda case: (
            case.peer == "db"
            and case.kind == "ext"
            and not case.long
            and not case.crowded
            and case.calls_per_request >= MANY_CALLS
        ),
        "{what} runs {calls} times in one request, one after another (at {site})",
        "no query is slow by itself; there are {calls} of the same kind in a request",
        (
            "Ask once: a join, `IN (…)`, or `selectinload` instead of one query a row.",
            "Bound how many rows one request may touch.",
        ),
    ),
    Cause(
        "A1b",
        "Pool too small for the load",
        lambda case: case.crowded and case.through(*POOLS),
        "{resource} is too small for the load: most holders are brief, together they fill it",
        "most of the time it was held by many, each for a short time",
        (
            "Enlarge the pool, within what its server can take, or slow the caller down.",
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
        "C2",
        "Threads all taken: blocking work fills the thread pool",
        lambda case: (
            (
                case.through(names.THREADPOOL)
                # Without a span of the holder, where it took the thread is enough.
                and (case.kind == "run" or case.resting.leaf.site is not None)
            )
            # However few wait beside those who have a thread: nobody gets one any more.
            or (case.kind == "run" and not case.peer and case.keeps_threads)
        ),
        "blocking work at {site} keeps all threads, and requests wait for one",
        "requests waited for a thread while {what} kept them; the event loop was free",
        (
            "Bound the blocking call with a timeout, or await an asynchronous client instead.",
            "Give slow work a limiter of its own, so that other routes keep their threads.",
            "More threads (`current_default_thread_limiter().total_tokens`) only buy time.",
        ),
        mechanism="limiter",
        queue=names.THREADPOOL,
    ),
    Cause(
        "D1",
        "External API down or slow",
        lambda case: (
            case.peer in ("http", "cache")
            and (case.long or case.kind == "backoff")
            and not case.to_itself
        ),
        "{what} takes up to {longest} (called at {site})",
        "the time was spent in {spent}",
        ("Bound the call, with all attempts and pauses, by a timeout, and have a fallback.",),
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


HEALTH_CHECK: Final = Cause(
    "G2",
    "A health check that hangs with what it checks",
    lambda _case: False,
    "the health check waits without a limit, and nothing else does: {trigger}",
    "nearly all victims are probes of the service's health",
    (
        "Bound each check (2 s), run checks beside the requests, and answer from the last result.",
        "Ask a shallow check for liveness: a restart mends no dependency.",
    ),
)
"""Named when only health checks are victims; among others they are victims like all."""


def _as_ever(case: Case) -> bool:
    """Return whether it takes what it always took; where nobody knows, whether it has a limit."""
    if case.slower is None:
        return case.bounded or case.kind == "run"
    return case.slower < SLOWER


def judge(case: Case) -> Cause | None:
    """Return the first row that matches a leaf, or None when no row may be named."""
    if case.kind == "unknown" and not case.through("threadpool"):
        return None
    return next((cause for cause in CAUSES if cause.matches(case)), None)
