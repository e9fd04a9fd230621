"""How long from an alert to the room: a P0 on a quiet day, and in a storm of a thousand alerts."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Final

from bench.alerts.obligations import tellings_of
from bench.alerts.processes import Bridge, Room, Router
from bench.alerts.run import Run, quantile
from bench.alerts.scene import Told, alert
from bench.alerts.sender import Poster

IDLE_P0S: Final = 40
APART_S: Final = 3.8
"""The room is asked less often than in a storm: that is what quiet means here."""
ROOMS: Final = 2
"""Each with a router, by turns: it takes half as long."""
IDLE_TARGET_S: Final = 3.0
STORM_TARGET_S: Final = 5.0
STORM_ALERTS: Final = 1_000
STORM_S: Final = 10.0
MOST_MESSAGES: Final = 20
P0_INCIDENTS: Final = 12
_AT_ONCE: Final = 10
"""Alerts in a payload of the storm."""
_MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Storm:
    """What a room saw of a storm."""

    waits_s: list[float]
    """Of the first P0 of each incident; of one that was not told within the minute, that."""
    untold: int
    """P0s that were not."""
    messages: int
    """Within a minute of its begin."""
    too_soon: int
    told: int
    """Alerts that were told within the minute."""


def measure(run: Run) -> None:
    """Add how long P0s took."""
    with ExitStack() as stack:
        waits_s = _idle([_pair(run.folder / f"idle-{n}", stack) for n in range(ROOMS)])
    run.at_most("latency: P0 to the room, idle, p99", quantile(waits_s, 0.99), IDLE_TARGET_S, "s")
    with Room(run.folder / "storm") as room, Router(run.folder / "storm", room) as router:
        seen = storm(router, room)
    run.at_most("storm: first P0 of an incident, p99", quantile(seen.waits_s, 0.99),
                STORM_TARGET_S, "s")  # fmt: skip
    run.at_most("storm: messages in the first minute", seen.messages, MOST_MESSAGES)
    run.at_most("storm: messages refused as too soon", seen.too_soon, 0)
    run.verdict.facts["latency"] = {
        "idle, p50, s": round(quantile(waits_s, 0.5), 3),
        "storm, p50, s": round(quantile(seen.waits_s, 0.5), 2),
        "storm: alerts told within the minute (P2 wait for the digest)": seen.told,
    }


def _pair(folder: Path, stack: ExitStack) -> tuple[Poster, Room]:
    room = stack.enter_context(Room(folder))
    return Poster(stack.enter_context(Router(folder, room)).port), room


def _idle(pairs: Sequence[tuple[Poster, Room]]) -> list[float]:
    sent_s: list[dict[str, float]] = [{} for _ in pairs]
    for n in range(IDLE_P0S):
        told = alert(n, "p0", f"quiet-{n}")
        sent_s[n % ROOMS][told["fingerprint"]] = time.time()
        pairs[n % ROOMS][0].put({"alerts": [told]})
        time.sleep(APART_S / ROOMS)
    return [
        wait_s
        for sent, (_, room) in zip(sent_s, pairs, strict=True)
        for wait_s in waits(sent, room.seen()["messages"])
    ]


def storm(bridge: Bridge, room: Room) -> Storm:
    """Send a storm, and return what the room saw within a minute."""
    poster = Poster(bridge.port)
    chance = random.Random(504)  # noqa: S311 - a scene, no secret
    urgent = set(chance.sample(range(STORM_ALERTS), P0_INCIDENTS))
    begun_s = time.time()
    sent_s: dict[str, float] = {}
    for first in range(0, STORM_ALERTS, _AT_ONCE):
        time.sleep(max(0.0, begun_s + STORM_S * first / STORM_ALERTS - time.time()))
        told = [_of_storm(n, urgent, chance) for n in range(first, first + _AT_ONCE)]
        now_s = time.time()
        sent_s |= {one["fingerprint"]: now_s for one in told if one["labels"]["severity"] == "p0"}
        poster.put({"alerts": told})
    time.sleep(begun_s + _MINUTE_S - time.time())
    seen = room.seen()
    messages = [one for one in seen["messages"] if one["at"] <= begun_s + _MINUTE_S]
    fingerprints = {fingerprint for one in messages for fingerprint, _ in tellings_of(one)}
    waits_s = waits(sent_s, messages)
    return Storm(
        [min(wait_s, _MINUTE_S) for wait_s in waits_s], waits_s.count(inf), len(messages),
        seen["too_soon"], len(fingerprints),
    )  # fmt: skip


def _of_storm(number: int, urgent: set[int], chance: random.Random) -> Told:
    if number in urgent:
        return alert(number, "p0", f"pay-{number}", name="Gateway504Ratio")
    return alert(number, chance.choice(("p1", "p1", "p2")), f"shop-{chance.randrange(40)}")


def waits(sent_s: Mapping[str, float], messages: list[dict[str, Any]]) -> list[float]:
    """Return for each fingerprint how long it was until a message told it; inf if none did."""
    told_s: dict[str, float] = {}
    for message in messages:
        for fingerprint, _ in tellings_of(message):
            told_s.setdefault(fingerprint, message["at"])
    return [told_s.get(fingerprint, inf) - begun_s for fingerprint, begun_s in sent_s.items()]
