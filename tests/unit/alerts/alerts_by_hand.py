"""A small language for alerts: seconds since a scene began, and a room that is a list."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from why504.alerts.alert import FIRING, RESOLVED, Alert, fingerprint_of
from why504.alerts.cards.frame import Place
from why504.alerts.kept.ledger import Ledger
from why504.alerts.rooms.delivery import Delivery
from why504.alerts.rooms.explaining import Explaining
from why504.alerts.rooms.finding import Aftermath, Explainer, Finding
from why504.alerts.rooms.pace import Pace
from why504.testing import FakeClock

S = 1_000_000_000
T0 = 1_795_000_000 * S
PLACE = Place(mention="users/all", link_hosts=frozenset({"runbooks.example.com"}))


def at(seconds: float) -> int:
    return T0 + round(seconds * S)


def alert(name: str = "Gateway504Ratio", severity: str = "p0", service: str = "shop",
          start_s: float = 0.0, end_s: float | None = None, **more: Any) -> Alert:  # fmt: skip
    labels = {"alertname": name, "severity": severity, "service_name": service}
    labels |= more.pop("labels", {})
    return Alert(
        labels=labels,
        status=FIRING if end_s is None else RESOLVED,
        starts_ns=at(start_s),
        ends_ns=None if end_s is None else at(end_s),
        annotations=more.pop("annotations", {"summary": f"{name} of {service}"}),
        fingerprint=fingerprint_of(labels),
    )


class ListedRoom:
    """Takes messages as Google Chat does: of one id once. `fail` may raise instead."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.seen: dict[str, str] = {}
        self.fail: Callable[[str, str], None] = lambda body, request_id: None

    def send(self, body: str, request_id: str) -> None:
        self.fail(body, request_id)
        if request_id in self.seen:
            assert self.seen[request_id] == body
            return
        self.seen[request_id] = body
        self.messages.append(json.loads(body))

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.messages]


class Silent:
    """Knows nothing."""

    def explain(self) -> Sequence[Finding]:
        return []

    def aftermath(self, service: str, since_ns: int, until_ns: int) -> Aftermath | None:
        return None


class Router:
    """Ledger, delivery and a room, on a clock that moves when it is told to."""

    def __init__(self, folder: Path, explainer: Explainer | None = None) -> None:
        self.clock = FakeClock(T0)
        self.room = ListedRoom()
        self.explainer = explainer
        self.file = folder / "alerts.sqlite"
        self.start()

    def start(self) -> None:
        """Begin with what is on disk."""
        self.ledger = Ledger(self.file)
        self.delivery = Delivery(
            self.ledger, self.room, PLACE, Pace(random.Random(504)), self.clock,
            explained=self.explainer is not None,
        )  # fmt: skip
        self.explaining = Explaining(self.ledger, self.explainer or Silent(), self.clock)

    def take(self, *alerts: Alert) -> int:
        return self.ledger.take(alerts, [], self.clock.wall_ns())

    def run(self, seconds: float) -> None:
        """Let the router work for some time, which passes at once."""
        end_s = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < end_s:
            self.explaining.step()
            rest_s = self.delivery.step()
            self.clock.advance(min(max(rest_s, 0.001), end_s - self.clock.monotonic_s() + 1e-6))
