"""A router as the command line wires it in full: a second room, and people who may acknowledge."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from alerts_by_hand import PLACE, ListedRoom, Router, Silent
from fastapi import FastAPI
from fastapi.testclient import TestClient

from why504.alerts.cards.ack_links import AckLinks
from why504.alerts.guard.acknowledging import ack_routes
from why504.alerts.guard.escalating import Escalating
from why504.alerts.guard.second_room import SecondRoom
from why504.alerts.guard.unusable import Unusable
from why504.alerts.kept.ledger import Ledger
from why504.alerts.kept.message import MAIN, SECOND
from why504.alerts.rooms.delivery import Delivery
from why504.alerts.rooms.explaining import Explaining
from why504.alerts.rooms.pace import Pace
from why504.alerts.rooms.sending import Sender
from why504.errors import ChatBusy, ChatForbidden

PUBLIC_URL = "https://alerts.example.com/why504"
NEVER_S = 1e9


def busy(*_: str) -> None:
    raise ChatBusy("chat.googleapis.com answered 500: INTERNAL")


def revoked(*_: str) -> None:
    raise ChatForbidden("chat.googleapis.com answered 403: PERMISSION_DENIED")


def well(*_: str) -> None:
    pass


class Guarded(Router):
    """`escalate_after_s` is never, unless it is told."""

    def __init__(
        self, folder: Path, *, with_second: bool = True, escalate_after_s: float = NEVER_S
    ) -> None:
        self.second = ListedRoom()
        self.with_second = with_second
        self.escalate_after_s = escalate_after_s
        super().__init__(folder)

    def start(self) -> None:
        self.ledger = Ledger(self.file)
        self.place = replace(
            PLACE,
            link_hosts=PLACE.link_hosts | {"alerts.example.com"},
            ack_links=AckLinks(PUBLIC_URL, self.ledger.acknowledgements.key()),
        )
        pace = Pace(random.Random(504))
        self.delivery = Delivery(self.ledger, self.room, self.place, pace, self.clock)
        self.explaining = Explaining(self.ledger, Silent(), self.clock)
        sender = Sender(self.ledger, self.second, Pace(random.Random(504)), self.clock)
        self.second_room = SecondRoom(self.ledger, sender, self.place, self.clock)
        self.escalating = Escalating(
            self.ledger, self.place, self.clock,
            room=SECOND if self.with_second else MAIN, after_s=self.escalate_after_s,
        )  # fmt: skip
        reaches = {"main": self.delivery.sender.reach}
        self.unusable = Unusable(self.ledger, reaches, self.clock)

    def killed(self) -> None:
        """Lose everything but the disk, and begin again."""
        self.ledger.close()
        self.start()

    def run(self, seconds: float) -> None:
        end_s = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < end_s:
            rests_s = [self.delivery.step(), self.escalating.step(), self.unusable.step()]
            if self.with_second:
                rests_s.append(self.second_room.step())
            self.clock.advance(
                min(max(min(rests_s), 0.01), end_s - self.clock.monotonic_s() + 1e-6)
            )

    def page(self) -> TestClient:
        """What people reach under the public address."""
        app = FastAPI()
        links = self.place.ack_links
        app.include_router(ack_routes(self.ledger, links, self.clock, self.place.language))
        return TestClient(app)


def ack_paths(message: dict) -> list[str]:
    """Where the buttons "Acknowledge" of a message lead, as the router is asked for it."""
    sections = [s for card in message.get("cardsV2", []) for s in card["card"]["sections"]]
    buttons = [
        button
        for section in sections
        for widget in section["widgets"]
        for button in widget.get("buttonList", {}).get("buttons", [])
        if button["text"] in ("Acknowledge", "Xác nhận")
    ]
    urls = [button["onClick"]["openLink"]["url"] for button in buttons]
    assert all(url.startswith(f"{PUBLIC_URL}/ack/") for url in urls)
    return [f"/ack/{urlsplit(url).path.rpartition('/')[2]}?{urlsplit(url).query}" for url in urls]


def said(messages: list[dict]) -> str:
    return json.dumps(messages, ensure_ascii=False)
