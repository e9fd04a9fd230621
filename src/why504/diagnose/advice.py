"""What to do where no row of the taxonomy says it: unknown causes, rings, database sessions."""

from __future__ import annotations

from typing import Final

from why504.diagnose.leaves import Resting

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

_LOOK: Final = "Look at what is stuck now: why504 ps."
_PROBE: Final = "Check that the probe runs in every worker: why504.instrument(app, engine=engine)."
_NAME_IT: Final = (
    "If it is a lock, a queue or a slot of your own that it waits for, name it: "
    'why504.resource("name", lock) tells who has it and at which line.'
)


def ring_advice(mechanism: str) -> list[str]:
    """Return what ends a ring that reaches the victims by a mechanism, and keeps it from coming."""
    return [*_RING.get(mechanism, _RING["lock"]), _RESTART]


def unknown_advice(top: Resting, resource: str) -> list[str]:
    """Return what helps to know more of a leaf, or to survive it.

    Args:
        top: the leaf with most of the lost time.
        resource: what was waited for last before it; empty for nothing.
    """
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
