"""Wires what watches over the router of alerts: a second room, escalation, a canary, a ping."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import typer

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from why504.alerts.cards.frame import Place
    from why504.alerts.guard.ping import Watcher
    from why504.alerts.kept.ledger import Ledger
    from why504.alerts.rooms.chat import Room
    from why504.alerts.rooms.reach import Reach
    from why504.alerts.steadily import Work
    from why504.config import AlertSettings
    from why504.probe.clock import Clock


class Outside:
    """Opens what this process reaches outside, and closes all of it when it is left."""

    def __init__(self, settings: AlertSettings, *, dry_run: bool) -> None:
        self._settings = settings
        self._dry_run = dry_run
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        self._opened.close()

    def first(self) -> Room:
        """Return the room that is told everything."""
        return self.room("" if self._dry_run else self._settings.secret())

    def room(self, secret: str) -> Room:
        """Return the room of a webhook; one that prints, if nothing is to leave."""
        from why504.alerts.rooms.chat import CHAT_HOSTS, Address, GoogleChat, Printed

        if self._dry_run:
            return Printed(typer.echo)
        hosts = {*CHAT_HOSTS, "127.0.0.1"} if self._settings.local_chat else CHAT_HOSTS
        return self._opened.enter_context(GoogleChat(Address(secret, hosts)))

    def watcher(self) -> Watcher | None:
        """Return who is told that alerting works, if anybody is."""
        from why504.alerts.guard.ping import HttpWatcher

        if self._dry_run or not self._settings.ping_url:
            return None
        local = bool(self._settings.local_chat)
        return self._opened.enter_context(HttpWatcher(self._settings.ping_url, local=local))


def guarding(
    ledger: Ledger,
    first: Reach,
    outside: Outside,
    settings: AlertSettings,
    place: Place,
    *,
    registry: CollectorRegistry,
    clock: Clock,
) -> list[Work]:
    """Return what has to run beside the delivery.

    Args:
        first: of the room that is told everything.
    """
    from why504.alerts.guard.canary import Canary
    from why504.alerts.guard.pinging import Pinging
    from why504.alerts.guard.unusable import Unusable
    from why504.alerts.metrics import Guarding
    from why504.alerts.steadily import steadily

    counts = Guarding(registry)
    work = _people(ledger, outside, settings, place, clock)
    reaches = {"main": first}
    if secret := settings.canary_secret():
        canary = Canary(outside.room(secret), settings.language, counts, clock)
        reaches["canary"] = canary.reach
        work.append(steadily(canary.step, "the canary"))
    work.append(steadily(Unusable(ledger, reaches, clock).step, "looking after webhooks"))
    if watcher := outside.watcher():
        pinging = Pinging(ledger, watcher, list(reaches.values()), counts, clock)
        work.append(steadily(pinging.step, "pinging"))
    return work


def _people(
    ledger: Ledger, outside: Outside, settings: AlertSettings, place: Place, clock: Clock
) -> list[Work]:
    """Return what sees to it that somebody hears, and comes."""
    from why504.alerts.guard.escalating import Escalating
    from why504.alerts.guard.second_room import SecondRoom
    from why504.alerts.kept.message import MAIN, SECOND
    from why504.alerts.rooms.pace import Pace
    from why504.alerts.rooms.sending import Sender
    from why504.alerts.steadily import steadily

    work = []
    secret = settings.second_secret()
    if secret:
        pace = Pace(random.Random())  # noqa: S311 - jitter, no secret
        sender = Sender(ledger, outside.room(secret), pace, clock)
        second = SecondRoom(ledger, sender, place, clock)
        work.append(steadily(second.step, "the second room"))
    if settings.public_url:
        escalating = Escalating(
            ledger, place, clock,
            room=SECOND if secret else MAIN, after_s=settings.escalate_after_s,
        )  # fmt: skip
        work.append(steadily(escalating.step, "escalation"))
    return work
