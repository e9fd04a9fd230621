"""Two hangs built by hand: a pool with a holder, and a loop whose victims never reached the app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from why504 import names
from why504.model import (
    Blame,
    ChainLink,
    Evidence,
    Finding,
    Hold,
    Incident,
    Leaf,
    Site,
    Span,
    Stall,
    Victim,
    Wait,
    Window,
)

T0 = 1_795_475_020_000_000_000
SECOND = 1_000_000_000
END = "POST /v1/conversations/end"
SUGGEST = "POST /v1/activities/suggest"
PUBLISH = Site("service/infrastructure/messaging/publisher.py", 48, "publish")
TAKEN = Site("service/infrastructure/db/session.py", 31, "begin")
BROKER = Leaf("run", "waiting for the broker to answer", PUBLISH)
STACK = (
    'File "/usr/lib/pika/adapters/blocking_connection.py", line 405, in _flush_output\n'
    'File "/usr/lib/pika/adapters/blocking_connection.py", line 360, in __init__\n'
    'File "/srv/service/infrastructure/messaging/publisher.py", line 48, in publish\n'
    'File "/srv/service/application/end_conversation.py", line 77, in end_conversation'
)
INSTANCE = "service-4242"


def trace(n: int) -> str:
    return f"{n:02x}" * 16


def span_id(n: int) -> str:
    return f"{n:016x}"


def at(seconds: float) -> int:
    return T0 + round(seconds * SECOND)


def victim(n: int, **changes: object) -> Victim:
    """A 504 that waited for the pool: began `n` s after T0, gave up 60 s later."""
    told: dict[str, object] = {
        "trace_id": trace(n),
        "span_id": span_id(n * 100),
        "route": SUGGEST if n % 2 else END,
        "start_ns": at(n),
        "gave_up_ns": at(n + 60),
        "status": 504,
        "reached_app": True,
        "blocked_in": "waiting for db.pool:main",
        "blocking_span_id": span_id(n * 100 + 3),
        "held_by": f"{END}, trace {trace(200)[:8]}, 61.5 s, {PUBLISH}",
        "holder_trace_id": trace(200),
        "leaf": BROKER,
        "explained_s": 60.0,
        "unknown_s": 0.0,
    }
    return Victim(**{**told, **changes})  # type: ignore[arg-type]


def finding(**changes: object) -> Finding:
    told: dict[str, object] = {
        "cause": "F1",
        "title": "broker unreachable, no connect timeout",
        "mechanism": "pool",
        "site": PUBLISH,
        "sentence": (
            f"4 requests got a 504 on {SUGGEST} and {END}: they waited for db.pool:main, whose 15 "
            f"connections were held by 15 transactions stuck at {PUBLISH}, connecting to a broker "
            "that does not answer."
        ),
        "chain": (
            ChainLink("4 × 504 on 2 routes", 240.0, ("first at 23:03:41", "2 workers")),
            ChainLink("waiting for db.pool:main", 236.0, ("15 of 15 in use", "97 waiting")),
            ChainLink(f"15 × {END} hold it", 236.0, ("oldest 61.5 s", f"taken at {TAKEN}")),
            ChainLink(f"connecting to the broker at {PUBLISH}", 231.0, ("15 stacks are equal",)),
        ),
        "evidence_for": ("all 15 holders stand on the same line", "no connection came free"),
        "evidence_against": ("the broker's own metrics were not seen",),
        "advice": ("Bound the connect: socket_timeout=3", "Publish outside the transaction"),
        "confidence": 0.9625,
    }
    return Finding(**{**told, **changes})  # type: ignore[arg-type]


def pool_incident(**changes: object) -> Incident:
    told: dict[str, object] = {
        "id": "20261123-230341-pool",
        "window": Window(at(0), at(70)),
        "victims": tuple(victim(n) for n in range(1, 5)),
        "blames": (
            Blame(BROKER, 231.0, 0.9625, 4, (trace(200),)),
            Blame(Leaf("ext", "db SELECT friendship_status"), 6.0, 0.025, 0),
            Blame(Leaf("unknown", "db.pool:main"), 3.0, 0.0125, 0),
        ),
        "finding": finding(),
        "blame_in_s": 240.0,
        "blame_out_s": 240.0,
    }
    return Incident(**{**told, **changes})  # type: ignore[arg-type]


def gateway_span(told: Victim) -> Span:
    return Span(
        trace_id=told.trace_id,
        span_id=told.span_id,
        parent_id=None,
        name=told.route,
        kind="server",
        start_ns=told.start_ns,
        end_ns=told.gave_up_ns,
        last_seen_ns=told.gave_up_ns,
        service=names.GATEWAY_SERVICE,
        instance="nginx",
        attributes={names.HTTP_STATUS: 504},
    )


def app_span(
    trace_id: str, n: int, parent: int, name: str, times: tuple[float, float | None, float]
) -> Span:
    """A span of the application; `times` are its start, end and last-seen seconds after T0."""
    start_s, end_s, seen_s = times
    return Span(
        trace_id=trace_id,
        span_id=span_id(n),
        parent_id=span_id(parent),
        name=name,
        kind="server",
        start_ns=at(start_s),
        end_ns=None if end_s is None else at(end_s),
        last_seen_ns=at(seen_s),
        service="context-handling",
        instance=INSTANCE,
        attributes={names.DB_SYSTEM: "postgresql"} if name.startswith("SELECT") else {},
    )


def pool_trace(n: int) -> Evidence:
    """What is stored of victim `n`: still open in the application, waiting for the pool."""
    told, base = victim(n), n * 100
    spans = (
        gateway_span(told),
        app_span(told.trace_id, base + 1, base, told.route, (n + 0.01, None, n + 64)),
        app_span(
            told.trace_id, base + 2, base + 1, "SELECT prompt_template", (n + 1, n + 4, n + 4)
        ),
    )
    wait = Wait(
        told.trace_id,
        span_id(base + 3),
        span_id(base + 1),
        names.pool("main"),
        at(n + 4.2),
        None,
        at(n + 64),
        "context-handling",
        INSTANCE,
        names.OPEN,
        {names.POOL_CAPACITY: 15, names.POOL_IN_USE: 15, names.POOL_WAITING: 97},
        TAKEN,
        'File "/srv/service/infrastructure/db/session.py", line 31, in begin',
    )
    return Evidence(Window(told.start_ns, at(n + 64)), spans, (wait,))


def holder_trace() -> Evidence:
    holder = trace(200)
    spans = (
        app_span(holder, 20_001, 20_000, END, (-1.5, None, 66)),
        app_span(holder, 20_002, 20_001, "INSERT event", (-1.4, -1.3, -1.3)),
    )
    hold = Hold(
        holder,
        span_id(20_003),
        span_id(20_001),
        names.pool("main"),
        at(-1.45),
        None,
        at(66),
        "context-handling",
        INSTANCE,
        names.OPEN,
        {names.BACKEND_PID: 77},
        TAKEN,
        STACK,
    )
    work = Span(
        trace_id=holder,
        span_id=span_id(20_004),
        parent_id=span_id(20_001),
        name="publish conversation.ended",
        kind="producer",
        start_ns=at(-1.2),
        end_ns=None,
        last_seen_ns=at(66),
        service="context-handling",
        instance=INSTANCE,
        site=PUBLISH,
        stack=STACK,
    )
    return Evidence(Window(at(-1.5), at(66)), (*spans, work), (), (hold,))


CALL = Site("service/infrastructure/llm/groq_client.py", 22, "count_questions")
GROQ = Leaf("stall", "llm groq", CALL)


def loop_victim(n: int) -> Victim:
    return victim(
        n,
        reached_app=False,
        blocked_in="waiting for loop:4242",
        blocking_span_id=None,
        held_by=f"POST /v1/friendship_status/calculate-score, trace {trace(150)[:8]}, {CALL}",
        holder_trace_id=trace(150),
        leaf=GROQ,
    )


def loop_incident() -> Incident:
    told = finding(
        cause="B1",
        title="blocking call in async code",
        mechanism="loop",
        site=CALL,
        sentence=f"2 requests got a 504: the event loop was blocked at {CALL} for 75.0 s.",
        chain=(ChainLink("2 × 504", 120.0), ChainLink(f"loop:4242 blocked at {CALL}", 120.0)),
        confidence=1.0,
    )
    return pool_incident(
        id="20261123-240000-loop",
        window=Window(at(3600), at(3670)),
        victims=(loop_victim(31), loop_victim(32)),
        blames=(Blame(GROQ, 120.0, 1.0, 2, (trace(150),)),),
        finding=told,
    )


def loop_trace() -> Evidence:
    holder = trace(150)
    route = "POST /v1/friendship_status/calculate-score/{conversation_id}"
    span = app_span(holder, 15_001, 15_000, route, (20, None, 95))
    stall = Stall(
        holder,
        span_id(15_002),
        span_id(15_001),
        names.loop(4242),
        at(20.2),
        None,
        at(95),
        "context-handling",
        INSTANCE,
        names.OPEN,
        {names.STALL_PROGRESSING: False},
        CALL,
        f'File "/srv/{CALL.file}", line 22, in count_questions',
    )
    return Evidence(Window(at(20), at(95)), (span,), (), (), (stall,))


@dataclass
class MemoryStore:
    """A store in memory that knows whole traces (why504.stores.base.EvidenceStore)."""

    traces: dict[str, Evidence] = field(default_factory=dict)
    window: Window | None = field(default_factory=lambda: Window(at(-10), at(4000)))

    def version(self) -> object:
        return None

    def extent(self) -> Window | None:
        return self.window

    def evidence(self, window: Window) -> Evidence:
        return Evidence(window)

    def sample(self, window: Window, *, slower_than_s: float | None = None) -> Evidence:
        return self.evidence(window)

    def trace(self, trace_id: str) -> Evidence:
        return self.traces.get(trace_id, Evidence(Window(T0, T0)))


def both_hangs() -> tuple[MemoryStore, Sequence[Incident]]:
    store = MemoryStore({trace(200): holder_trace(), trace(150): loop_trace()})
    for n in range(1, 5):
        store.traces[trace(n)] = pool_trace(n)
    for n in (31, 32):
        told = loop_victim(n)
        store.traces[told.trace_id] = Evidence(Window(T0, T0), (gateway_span(told),))
    return store, [pool_incident(), loop_incident()]
