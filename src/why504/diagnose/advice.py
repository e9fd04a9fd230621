"""What to do where no row of the taxonomy says it: unknown causes, rings, database sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from why504.diagnose.leaves import Resting
from why504.diagnose.peers import CLIENT

_LOCKS: Final = ("lock:", "limiter:")

_RING: Final = {
    "limiter": (
        "Never wait in a worker thread for work that needs another thread of the same pool: await "
        "it on the event loop, or give the inner work a limiter of its own.",
        "More threads only put it off: as many requests at once take all of them again.",
    ),
    "lock": (
        "Take locks in the same order everywhere, or hold only one of them at a time.",
        "Bound every wait (`acquire(timeout=...)`, `asyncio.timeout`): a ring then ends by itself.",
    ),
    "pool": (
        "Take what a request needs once and pass it on, instead of a second one inside.",
        "Bound every wait by the pool's timeout: a ring then ends by itself.",
    ),
}
"""How a ring reaches the victims -> what to do; of any other the advice for locks."""
_RESTART: Final = "None of these requests can go on: restart the process."

_OWN: Final = (
    "Where it has to be HTTP, give the call a timeout, and what it needs (connections, threads, "
    "workers) a limit apart from that of its callers."
)
_CLIENTS: Final = (
    "Take connections and locks only once the whole request is there.",
    "Have the gateway take the request first (nginx: proxy_request_buffering on, and "
    "client_body_timeout): slow clients then wait there.",
)
_LOOK: Final = "Look at what is stuck now: why504 ps."
_PROBE: Final = "Check that the probe runs in every worker: why504.instrument(app, engine=engine)."
_NAME_IT: Final = (
    "If it is a lock, a queue or a slot of your own that it waits for, name it: "
    'why504.resource("name", lock) tells who has it and at which line.'
)


@dataclass(frozen=True, slots=True)
class Plight:
    """What can be said of an incident without a row of the taxonomy."""

    title: str
    says: str
    """In the sentence, behind who is hit."""
    against: str
    advice: list[str]


def plight_of(top: Resting, resource: str, mechanism: str, *, to_itself: bool) -> Plight:
    """Return what can be said where no cause is named.

    Args:
        top: the leaf with most of the lost time.
        resource: what was waited for last before it; empty for nothing.
        mechanism: how trouble with that reaches the victims.
        to_itself: whether it is calls of the service to its own port.
    """
    if top.leaf.kind == "cycle":
        return Plight(
            title="A deadlock: requests wait for one another in a ring",
            says="a deadlock",
            against="none of the causes that why504 has a name for is a ring like this",
            advice=[*_RING.get(mechanism, _RING["lock"]), _RESTART],
        )
    if to_itself:
        # What others wait for, as the callers keep it, is short; else it may just be slow.
        short = "capacity" if resource else "answer"
        at = f"At {top.site}, call" if top.site else "Call"
        return Plight(
            title=f"The service calls itself, and waits for its own {short}",
            says=f"the service calls itself, and waits for its own {short}",
            against="no peer is slow: where the time went inside, the called requests tell",
            advice=[f"{at} the function behind the route directly, instead of by HTTP.", _OWN],
        )
    if top.peer == CLIENT:
        at = f" at {top.site}" if top.site else ""
        return Plight(
            title="A client sends its request slowly, or not to its end",
            says="the service waits for its clients",
            against="none of the causes that why504 has a name for lies outside of the service",
            advice=[f"Put a limit on reading the request{at}, and answer 408 after it.", *_CLIENTS],
        )
    return Plight(
        title="The evidence does not name a cause",
        says="no cause can be named",
        against="nothing of what was recorded is a cause that why504 knows",
        advice=_unknown_advice(top, resource),
    )


def _unknown_advice(top: Resting, resource: str) -> list[str]:
    """Return what helps to know more of a leaf, or to survive it."""
    if top.site is not None and top.leaf.kind != "unknown":
        limit = f"Put a limit on what is waited for at {top.site}: a timeout, and an answer for it."
        known = [] if resource.startswith(_LOCKS) or top.leaf.kind != "run" else [_NAME_IT]
        return [limit, *known, _LOOK]
    return [*([_NAME_IT] if resource.startswith(_LOCKS) else [_PROBE]), _LOOK]


def session_advice(what: str) -> str:
    """Return what keeps a database session, as it is told for people, from keeping a lock again."""
    if "idle for" in what:
        return (
            "It is idle outside a transaction: an advisory lock of its own lasts until it is "
            "unlocked. Take it by pg_advisory_xact_lock, or unlock it on every path."
        )
    return "Set lock_timeout and idle_in_transaction_session_timeout; keep transactions short."


def attach_advice(pid: str) -> str:
    """Return how to look at a process that stands still."""
    return f"Look at the process from outside while it hangs: why504 attach {pid}."
