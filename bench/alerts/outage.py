"""Google Chat is down for a day while alerts come and go: what is told afterwards, and how soon?

The day is played on the fake clock, with the real ledger, delivery and pace; the catching up after
a shorter outage by the real process, too.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, Final

from bench.alerts.obligations import Told, judge, tellings_of
from bench.alerts.processes import Room, Router, dead_in, told_in, until
from bench.alerts.run import Run
from bench.alerts.scene import MOST, alert, ended, telling
from bench.alerts.sender import Sender
from why504.alerts.cards.frame import Place
from why504.alerts.intake import from_webhook
from why504.alerts.kept.ledger import Ledger
from why504.alerts.rooms.delivery import Delivery
from why504.alerts.rooms.pace import Pace
from why504.errors import ChatBusy
from why504.testing import FakeClock

ALERTS: Final = 10_000
DAY_S: Final = 86_400.0
CATCH_UP_S: Final = 120.0
BURNING: Final = 8
"""P0s that still burn when the room is back, and began last."""
FIRST: Final = 2
"""Messages within which they are told: one may have been frozen when the room went down."""
_BEGIN_NS: Final = 1_795_000_000 * 10**9
_ANSWER_S: Final = 0.3
_DOWN_S: Final = 45.0
"""Of the real room."""
_LEVELS: Final = ("p0", "p1", "p1", "p1", "p1")
_LASTS: Final = 5
"""Minutes of an alert."""


class FakeRoom:
    """Takes a message a second on the fake clock, or none."""

    def __init__(self, clock: FakeClock) -> None:
        self.down = True
        self.told: list[Told] = []
        self.too_soon = 0
        self._clock = clock
        self._last_s = -1e9

    def send(self, body: str, request_id: str) -> None:
        """Take a message; see `Room.send`."""
        if self.down:
            raise ChatBusy("the room is down")
        if self._clock.monotonic_s() < self._last_s + 1.0:
            self.too_soon += 1
            raise ChatBusy("too soon")
        self._last_s = self._clock.monotonic_s()
        self._clock.advance(_ANSWER_S)
        self.told.append(Told(request_id, tellings_of(json.loads(body))))


def measure(run: Run) -> None:
    """Add what was lost, and how long catching up took."""
    lost, urgent_after, caught_up_s, room = _day(run.folder / "day.sqlite")
    run.at_most("outage of 24 h: alerts lost", lost, 0)
    run.at_most("outage of 24 h: messages until all burning P0s are told", urgent_after, FIRST)
    run.at_most("outage of 24 h: 10,000 alerts caught up", caught_up_s, CATCH_UP_S, "s")
    run.at_most("outage of 24 h: messages refused as too soon", room.too_soon, 0)
    run.say("the day is over; now a real room is down")
    lost, caught_up_s, facts = _real(run.folder / "real")
    run.at_most("outage, real process: alerts lost", lost, 0)
    run.at_most("outage, real process: 10,000 alerts caught up", caught_up_s, CATCH_UP_S, "s")
    run.verdict.facts["outage"] = {"messages after 24 h": len(room.told), **facts}


def _day(file: Path) -> tuple[int, float, float, FakeRoom]:
    """Return alerts lost, messages until what burns is told, and seconds until all is."""
    clock = FakeClock(_BEGIN_NS)
    room, ledger = FakeRoom(clock), Ledger(file)
    pace = Pace(random.Random(504))  # noqa: S311 - jitter, no secret
    delivery = Delivery(ledger, room, Place(), pace, clock)
    acknowledged: dict[str, list[str]] = {}
    for minute, told in enumerate(of_a_day()):
        _play(delivery, clock, _BEGIN_NS + minute * 60 * 10**9)
        ledger.take(from_webhook({"alerts": told}, clock.wall_ns()).alerts, [], clock.wall_ns())
        for fingerprint, status in map(telling, told):
            acknowledged.setdefault(fingerprint, []).append(status)
    room.down, back_ns = False, clock.wall_ns()
    while ledger.backlog(0) and clock.wall_ns() < back_ns + 3600 * 10**9:
        _play(delivery, clock, clock.wall_ns() + 10**9)
    lost = len(judge(acknowledged, room.told).lost)
    burning = {owed for owed, statuses in acknowledged.items() if statuses == ["firing"]}
    return lost, _told_after(burning, room.told), (clock.wall_ns() - back_ns) / 1e9, room


def of_a_day() -> Iterator[list[dict[str, Any]]]:
    """Yield what is told each minute: each alert is over after five, but for some of the last."""
    chance = random.Random(504)  # noqa: S311 - a scene, no secret
    minutes = int(DAY_S / 60)
    begun: list[list[dict[str, Any]]] = []
    for minute in range(minutes):
        numbers = range(ALERTS * minute // minutes, ALERTS * (minute + 1) // minutes)
        begun.append(
            [
                alert(n, chance.choice(_LEVELS), f"shop-{chance.randrange(200)}", begun=_at(minute))
                for n in numbers
            ]
        )
        over = begun[minute - _LASTS] if minute >= _LASTS else []
        yield [*begun[minute], *map(ended, over)]
    yield [ended(one) for told in begun[-_LASTS:] for one in told]
    yield [alert(ALERTS + n, "p0", f"burns-{n}") for n in range(BURNING)]


def _at(minute: int) -> datetime:
    return datetime.fromtimestamp(_BEGIN_NS / 1e9 + minute * 60, UTC)


def _play(delivery: Delivery, clock: FakeClock, until_ns: int) -> None:
    while (left_ns := until_ns - clock.wall_ns()) > 0:
        clock.advance(min(max(delivery.step(), 0.001), left_ns / 1e9 + 1e-6))


def _told_after(burning: set[str], room: Sequence[Told]) -> float:
    """Return after how many messages all that burns is told; inf if that never is."""
    left = set(burning)
    for number, message in enumerate(room, 1):
        left -= {fingerprint for fingerprint, _ in message.tellings}
        if not left:
            return number
    return inf


def _real(folder: Path) -> tuple[int, float, dict[str, Any]]:
    """Return alerts lost and the seconds of catching up, of real processes."""
    told = [one for minute in of_a_day() for one in minute]
    payloads = [told[first : first + MOST] for first in range(0, len(told), MOST)]
    with Room(folder, status=503) as room, Router(folder, room) as router:
        sender = Sender(router.port, payloads, random.Random(504))  # noqa: S311 - no secret
        sender.start()
        time.sleep(_DOWN_S)
        sender.join()
        room.behave(status=None)
        back_s = time.monotonic()
        until(lambda: router.undelivered() == 0, 2 * CATCH_UP_S)
        caught_up_s = time.monotonic() - back_s
        seen, log = room.seen(), router.log()
    lost = judge(sender.acknowledged, told_in(seen["messages"], log), dead_in(log)).lost
    facts = {
        "messages of the real process": len(seen["messages"]),
        "too soon": seen["too_soon"],
    }
    return len(lost), caught_up_s, facts
