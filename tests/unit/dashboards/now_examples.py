"""Moments built by hand: a pool that everybody waits for, and nothing at all."""

from __future__ import annotations

from typing import Any

from tests.unit.dashboards import explorer_examples as told
from why504.diagnose.now import Busy, Holder, Holding, Now, Stuck
from why504.model import Site

AT_NS = told.at(100)
LINE = told.PUBLISH
POOL = "db.pool:main"
HOLDER = Holder(told.trace(200), told.END, 61.5, LINE, request_ended=False)


def stuck(n: int, **changes: Any) -> Stuck:
    """A request that waits for the pool, `n` seconds old."""
    given: dict[str, Any] = {
        "trace_id": f"{n:032x}",
        "span_id": f"{n:016x}",
        "service": "context-handling",
        "instance": told.INSTANCE,
        "route": told.SUGGEST,
        "age_s": float(n),
        "state": "waits",
        "does": f"waits for {POOL}",
        "site": told.TAKEN,
        "waits_for": POOL,
        "waits_s": n - 0.5,
        "held_by": HOLDER,
        "gateway_status": 504 if n >= 60 else None,
        "frees": 0,
    }
    return Stuck(**{**given, **changes})


def culprit(frees: int, **changes: Any) -> Stuck:
    given = {"trace_id": HOLDER.trace_id, "route": told.END, "state": "calls", "site": LINE}
    does = {"does": "in call to broker", "waits_for": "", "held_by": None, "frees": frees}
    return stuck(62, **{**given, **does, **changes})


def holding(**changes: Any) -> Holding:
    given: dict[str, Any] = {
        "resource": POOL,
        "instance": told.INSTANCE,
        "trace_id": HOLDER.trace_id,
        "route": told.END,
        "age_s": 61.5,
        "site": told.TAKEN,
        "request_ended": False,
        "waiters": 3,
        "does": "in call to broker",
        "at": LINE,
    }
    return Holding(**{**given, **changes})


def busy(**changes: Any) -> Busy:
    given: dict[str, Any] = {
        "resource": POOL,
        "instance": told.INSTANCE,
        "waiters": 3,
        "longest_wait_s": 59.5,
        "units": 1,
        "capacity": 15,
        "oldest": HOLDER,
    }
    return Busy(**{**given, **changes})


def moment(**changes: Any) -> Now:
    """Nothing is open, and the service was heard of a second ago."""
    given: dict[str, Any] = {
        "at_ns": AT_NS,
        "open": [],
        "resources": [],
        "timeouts_per_s": [0] * 60,
        "victims": 0,
        "explained": 0,
        "incidents": [],
        "silent": [],
        "kept": 0,
        "dropped": 0,
        "refused": 0,
        "limit_s": 60.0,
        "heard_ns": AT_NS - told.SECOND,
    }
    return Now(**{**given, **changes})


def hang(waiters: int = 3, **changes: Any) -> Now:
    """One request has the pool and calls the broker; others wait, half of them given up."""
    open_ = [culprit(waiters), *(stuck(80 - n) for n in range(waiters))]
    given: dict[str, Any] = {
        "open": open_,
        "resources": [busy(waiters=waiters)],
        "holders": [holding(waiters=waiters)],
        "timeouts_per_s": [0] * 50 + [1] * 10,
        "victims": 12,
        "explained": 10,
        "incidents": [told.pool_incident()],
    }
    return moment(**{**given, **changes})


def hostile_site(text: str) -> Site:
    return Site(text, 1, text)
