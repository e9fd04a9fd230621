"""`kill -9` at random moments while alerts come in and the room misbehaves: what is lost?"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.alerts.limits import faults
from bench.alerts.obligations import Judgement, Told, judge
from bench.alerts.processes import Bridge, Room, Router, dead_in, told_in, until
from bench.alerts.run import Run
from bench.alerts.scene import payloads
from bench.alerts.sender import Sender

CLIENTS: Final = 4
SERVICES: Final = 80
REFUSALS: Final = {"401": 0.01, "429": 0.02, "500": 0.03, "503": 0.02}
TAKEN_UNANSWERED: Final = {"cut": 0.03, "late": 0.003, "hang": 0.003}
_UP_S: Final = (0.02, 1.6)
"""From the first answer to the kill."""
_STARTING: Final = 0.1
"""Share of the kills that come before the first answer."""
_DRAIN_S: Final = 400.0


@dataclass(frozen=True, slots=True)
class Order:
    """How many alerts at which rate, beside how many kills, into which room."""

    alerts: int
    per_s: float
    kills: int
    mishaps: Mapping[str, float]
    honours_request_id: bool = True
    seed: int = 504


FULL: Final = Order(100_000, 260.0, 200, {**REFUSALS, **TAKEN_UNANSWERED})
# A room that forgets ids shows each message twice that it took without an answer: here the kills
# alone may do that.
FORGETFUL: Final = Order(10_000, 130.0, 40, REFUSALS, honours_request_id=False, seed=505)


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    judgement: Judgement
    kills: int
    messages: Sequence[dict[str, Any]]
    senders: Sequence[Sender]
    refused: Counter[int]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def given_up(self) -> int:
        """How many requests got an answer after which Alertmanager sends nothing again."""
        answers = sum((sender.answers for sender in self.senders), Counter[str]())
        return sum(number for status, number in answers.items() if status.startswith("4"))


def measure(run: Run) -> None:
    """Add what a hundred thousand alerts and two hundred kills showed."""
    done = play(run, FULL, "kills")
    wrong = done.judgement
    run.at_least("kills: acknowledged alerts", wrong.owed, FULL.alerts)
    run.at_least("kills: kill -9 of the router", done.kills, FULL.kills)
    run.at_most("kills: acknowledged alerts lost", len(wrong.lost), 0)
    run.at_most("kills: messages that are there twice", wrong.repeated, 0)
    run.at_most("kills: alerts told by two messages", len(wrong.twice), 0)
    run.at_most("kills: ends told before their begin", len(wrong.disordered), 0)
    run.at_most("kills: answers after which nobody repeats", done.given_up, 0)
    run.at_most("kills: messages that break a rule", _breaking(done.messages), 0)
    run.at_most("kills: digests that miscount", done.facts.pop("miscounted"), 0)
    run.verdict.facts["kills"] = done.facts
    forgetful = play(run, FORGETFUL, "forgetful")
    wrong = forgetful.judgement
    run.at_most("room that forgets ids: alerts lost", len(wrong.lost), 0)
    run.at_most("... messages twice, for each kill", wrong.repeated / forgetful.kills, 1)
    run.at_most("... ends told before their begin", len(wrong.disordered), 0)
    forgetful.facts.pop("miscounted")
    run.verdict.facts["room that forgets ids"] = forgetful.facts


def play(run: Run, order: Order, name: str) -> Outcome:
    """Send, kill, let everything be delivered, and judge."""
    folder = run.folder / name
    mishaps, honours = dict(order.mishaps), order.honours_request_id
    with Room(folder, mishaps=mishaps, honours_request_id=honours) as room:
        router = Router(folder, room, short_hour=True)
        begun_s = time.monotonic()
        senders = clients(router.port, order)
        kills = killed(router, order.kills, senders, run.say, seed=order.seed)
        run.say(f"{kills} kills in {time.monotonic() - begun_s:.0f} s; what is left is delivered")
        with router:
            kills_s = time.monotonic() - begun_s
            drained = until(lambda: router.undelivered() == 0, _DRAIN_S, every_s=2.0)
        log, seen = router.log(), room.seen()
    acknowledged = {key: told for sender in senders for key, told in sender.acknowledged.items()}
    told = told_in(seen["messages"], log)
    answers = sum((sender.answers for sender in senders), Counter[str]())
    facts = {
        "alerts told to the router": sum(sender.sent for sender in senders),
        "answers": dict(answers),
        "messages in the room": len(seen["messages"]),
        "digests": sum("digest" in one["text"] for one in seen["messages"]),
        "refused by the room": dict(Counter(seen["refused"])),
        "... because they came too soon": seen["too_soon"],
        "seconds of kills": round(kills_s),
        "seconds until all was told": round(time.monotonic() - begun_s),
        "drained": drained,
        "miscounted": miscounted(seen["messages"], told),
    }
    judgement = judge(acknowledged, told, dead_in(log))
    return Outcome(judgement, kills, seen["messages"], senders, Counter(seen["refused"]), facts)


def clients(port: int, order: Order) -> list[Sender]:
    """Start clients; each has services of its own, so that the order of their alerts is known."""
    senders = []
    for n in range(CLIENTS):
        chance = random.Random(order.seed * 10 + n)  # noqa: S311 - a scene, no secret
        services = [f"shop-{m}" for m in range(n, SERVICES, CLIENTS)]
        told = payloads(range(n, order.alerts, CLIENTS), services, chance)
        senders.append(Sender(port, told, chance, per_s=order.per_s / CLIENTS))
    for sender in senders:
        sender.start()
    return senders


def killed(
    bridge: Bridge, at_least: int, senders: Sequence[Sender], say: Callable[[str], None], *,
    seed: int,
) -> int:  # fmt: skip
    """Start and kill a bridge until all is sent, and often enough; return how often."""
    chance = random.Random(seed)  # noqa: S311 - moments, no secret
    kills = 0
    while kills < at_least or any(sender.is_alive() for sender in senders):
        if chance.random() < _STARTING:
            bridge.launch()
            time.sleep(chance.uniform(0, 1.0))
        else:
            bridge.start()
            time.sleep(chance.uniform(*_UP_S))
        bridge.kill()
        kills += 1
        if kills % 20 == 0:
            say(f"  {kills} kills, {sum(len(s.acknowledged) for s in senders):,} alerts taken")
    return kills


def miscounted(messages: Sequence[Mapping[str, Any]], told: Sequence[Told]) -> int:
    """Return how many digests tell another number of alerts than the log lists for them."""
    digests = [
        (int(message["text"].split()[2]), {fingerprint for fingerprint, _ in one.tellings})
        for message, one in zip(messages, told, strict=True)
        if message["text"].startswith("P2 digest: ")
    ]
    return sum(number != len(listed) for number, listed in digests)


def _breaking(messages: Sequence[Mapping[str, Any]]) -> int:
    shown = ("text", "cardsV2")
    return sum(
        any(faults(json.dumps({key: one[key] for key in shown}, ensure_ascii=False)))
        for one in messages
    )
