"""The same storm and the same kills, for the router and for a bridge that answers first.

Both at the same time, each with a room of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from bench.alerts.kills import REFUSALS, Order, clients, killed
from bench.alerts.latency import Storm, storm
from bench.alerts.obligations import Judgement, judge
from bench.alerts.processes import Bridge, Room, Router, told_in, until
from bench.alerts.run import Run, quantile

KILLS: Final = Order(1_000, 50.0, 8, REFUSALS, seed=506)
_QUIET_S: Final = 15.0
"""A bridge that has sent nothing for so long has nothing left."""
_DRAIN_S: Final = 300.0


def measure(run: Run) -> None:
    """Add what each of them lost, said and how late."""
    with ThreadPoolExecutor() as pool:
        storms = dict(pool.map(lambda name: (name, _storm(run, name)), BRIDGES))
        kills = dict(pool.map(lambda name: (name, _kills(run, name)), BRIDGES))
    ours, theirs = storms["router"], storms["first"]
    run.at_most("baseline: acknowledged alerts lost, 8 kills", len(kills["router"].lost), 0, "",
                len(kills["first"].lost))  # fmt: skip
    run.at_most("baseline: messages in the storm's first minute", ours.messages, 20, "",
                theirs.messages)  # fmt: skip
    run.at_most("baseline: first P0 in the storm, p50", quantile(ours.waits_s, 0.5), 5.0, "s",
                quantile(theirs.waits_s, 0.5))  # fmt: skip
    run.at_most("baseline: P0s of the storm not told within a minute", ours.untold, 0, "",
                theirs.untold)  # fmt: skip
    run.verdict.facts["baseline"] = {
        "what it is": "answers first, a thread a payload, one message an alert, 3 more tries",
        "acknowledged": {name: one.owed for name, one in kills.items()},
        "alerts of the storm told within the minute": {n: s.told for n, s in storms.items()},
        "refused as too soon": {name: one.too_soon for name, one in storms.items()},
    }


def _router(folder: Path, room: Room) -> Bridge:
    return Router(folder, room, short_hour=True)


def _first(folder: Path, room: Room) -> Bridge:
    argv = [sys.executable, "-m", "bench.alerts.ack_first"]
    return Bridge("ack-first", folder, argv, {"WHY504_ALERTS_WEBHOOK": room.webhook})


BRIDGES: Final[Mapping[str, Callable[[Path, Room], Bridge]]] = {
    "router": _router,
    "first": _first,
}


def _storm(run: Run, name: str) -> Storm:
    folder = run.folder / name
    with Room(folder) as room, BRIDGES[name](folder, room) as bridge:
        return storm(bridge, room)


def _kills(run: Run, name: str) -> Judgement:
    folder = run.folder / f"{name}-kills"
    with Room(folder, mishaps=KILLS.mishaps) as room:
        bridge = BRIDGES[name](folder, room)
        senders = clients(bridge.port, KILLS)
        killed(bridge, KILLS.kills, senders, run.say, seed=KILLS.seed)
        with bridge:
            _settle(bridge, room)
        log = bridge.log() if isinstance(bridge, Router) else []
        told = told_in(room.seen()["messages"], log)
    acknowledged = {key: told for sender in senders for key, told in sender.acknowledged.items()}
    return judge(acknowledged, told)


def _settle(bridge: Bridge, room: Room) -> None:
    if isinstance(bridge, Router):
        until(lambda: bridge.undelivered() == 0, _DRAIN_S, every_s=1.0)
        return
    seen, since_s = -1, time.monotonic()

    def quiet() -> bool:
        nonlocal seen, since_s
        if (now := len(room.seen()["messages"])) != seen:
            seen, since_s = now, time.monotonic()
        return time.monotonic() > since_s + _QUIET_S

    until(quiet, _DRAIN_S)
