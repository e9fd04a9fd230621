"""Alerting watches itself: a watcher outside hears whether it works, a canary tries the way."""

from __future__ import annotations

import pytest
from alerts_by_hand import ListedRoom, alert
from guarded_by_hand import Guarded, busy, revoked, said, well
from prometheus_client import CollectorRegistry, generate_latest

from why504.alerts.guard.canary import Canary
from why504.alerts.guard.pinging import Pinging
from why504.alerts.guard.unusable import Unusable
from why504.alerts.metrics import Delivering, Guarding
from why504.errors import AlertsUnavailable, PingFailed


class ListedWatcher:
    """Counts pings; `deaf` may make it hear none."""

    def __init__(self) -> None:
        self.heard = 0
        self.deaf = False

    def ping(self) -> None:
        if self.deaf:
            raise PingFailed("hc-ping.com answered 500")
        self.heard += 1


class Watched(Guarded):
    """With a canary, a watcher outside, and a heartbeat as long as `beats`."""

    def __init__(self, folder, *, canary: bool = True) -> None:
        self.canary_room = ListedRoom()
        self.with_canary = canary
        self.watcher = ListedWatcher()
        self.registry = CollectorRegistry()
        self.counts = Guarding(self.registry)
        self.beats = True
        super().__init__(folder)
        self.registry.register(Delivering(self.ledger, self.clock))

    def start(self) -> None:
        super().start()
        self.canary = Canary(self.canary_room, "en", self.counts, self.clock)
        reaches = {"main": self.delivery.sender.reach}
        if self.with_canary:
            reaches["canary"] = self.canary.reach
        self.unusable = Unusable(self.ledger, reaches, self.clock)
        self.pinging = Pinging(
            self.ledger, self.watcher, list(reaches.values()), self.counts, self.clock
        )
        self.due_s = {self.pinging.step: 0.0}
        if self.with_canary:
            self.due_s[self.canary.step] = 0.0

    def minutes(self, number: int) -> None:
        for _ in range(number):
            if self.beats:
                self.take(alert("Watchdog", "none", service=""))
            self.run(30)
            for step, due_s in self.due_s.items():
                if self.clock.monotonic_s() >= due_s:
                    self.due_s[step] = self.clock.monotonic_s() + step()
            self.run(30)

    def heard_in(self, minutes: int) -> int:
        before = self.watcher.heard
        self.minutes(minutes)
        return self.watcher.heard - before

    def metrics(self) -> str:
        return generate_latest(self.registry).decode()


@pytest.fixture
def router(tmp_path) -> Watched:
    return Watched(tmp_path)


def test_the_watcher_hears_from_us_each_minute_while_all_is_well(router):
    assert 9 <= router.heard_in(10) <= 10
    assert f'why504_alerts_pings_total{{result="ok"}} {router.watcher.heard}' in router.metrics()


def test_where_no_heartbeat_was_ever_heard_nothing_is_told(router):
    router.beats = False

    assert router.heard_in(10) == 0
    assert 'why504_alerts_pings_total{result="withheld"} 10.0' in router.metrics()


def test_a_heartbeat_that_stopped_silences_us_until_it_is_back(router):
    router.minutes(5)
    router.beats = False
    assert router.heard_in(10) <= 4
    assert router.heard_in(10) == 0

    router.beats = True
    assert router.heard_in(10) >= 8


@pytest.mark.parametrize("level", ["p0", "p1"])
def test_an_alert_that_nobody_is_told_of_silences_us(router, level):
    router.minutes(2)
    router.room.fail = busy
    router.take(alert(severity=level))
    assert router.heard_in(10) <= 1

    router.room.fail = well
    router.minutes(3)
    assert router.heard_in(5) >= 4


@pytest.mark.parametrize("level", ["p0", "p1"])
def test_an_alert_that_waits_silences_us_though_the_canary_arrives(router, level):
    """As when the room takes the connection, and never answers."""
    router.minutes(2)
    router.take(alert(severity=level))
    router.clock.advance(59)
    assert router.pinging.withheld() == ""

    router.clock.advance(2)
    assert router.pinging.withheld() == f"a {level.upper()} is not in the room for 61 s"


def test_a_p2_that_waits_for_its_digest_does_not(router):
    router.take(alert(severity="p2"))

    assert router.heard_in(10) >= 9


def test_a_delivery_that_failed_silences_us_even_while_nothing_urgent_waits(tmp_path):
    router = Watched(tmp_path, canary=False)
    router.minutes(2)
    router.room.fail = busy
    router.take(alert(severity="p2"))
    router.minutes(60)
    assert router.heard_in(10) == 0

    router.room.fail = well
    router.minutes(2)
    assert router.heard_in(5) >= 4


def test_a_canary_that_does_not_arrive_silences_us(router):
    router.minutes(2)
    router.canary_room.fail = busy
    router.minutes(62)
    assert router.heard_in(10) == 0


def test_a_disk_that_refuses_silences_us(router):
    router.minutes(2)
    router.ledger._database._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(AlertsUnavailable):
        router.take(alert())

    assert router.pinging.withheld().startswith("alerts can't be kept")


def test_a_watcher_that_does_not_hear_us_is_asked_again(router):
    router.watcher.deaf = True
    router.minutes(5)
    assert 'why504_alerts_pings_total{result="failed"} 5.0' in router.metrics()

    router.watcher.deaf = False
    assert router.heard_in(5) >= 4


def test_the_canary_sings_once_an_hour_however_often_we_are_started(router):
    router.minutes(20)
    router.killed()
    router.minutes(90)

    assert 2 <= len(router.canary_room.messages) <= 3
    assert len(set(router.canary_room.texts)) == len(router.canary_room.texts)
    assert "why504: this webhook works, 2026-11-18 11:00 UTC" in router.canary_room.texts
    assert router.room.messages == []


def test_a_canary_whose_webhook_is_revoked_is_a_p0_until_it_is_mended(router):
    router.minutes(5)
    router.canary_room.fail = revoked
    router.minutes(60)
    assert router.room.messages == []

    router.minutes(20)
    assert router.room.texts == ["<users/all> P0 · WebhookUnusable alerting"]
    assert "refuses the canary webhook" in said(router.room.messages)

    router.canary_room.fail = well
    router.minutes(5)
    assert router.room.texts[1:] == ["P0 · WebhookUnusable · resolved alerting"]


def test_a_canary_that_can_only_not_be_reached_is_none(router):
    router.canary_room.fail = busy
    router.minutes(60)

    assert router.room.messages == []


def test_a_webhook_that_is_refused_now_and_then_is_no_p0(router):
    router.minutes(1)
    for _ in range(10):
        router.canary_room.fail = revoked
        router.due_s[router.canary.step] = 0.0
        router.minutes(3)
        router.canary_room.fail = well
        router.minutes(3)

    assert router.room.messages == []


def test_a_main_webhook_that_is_revoked_is_told_in_the_second_room(router):
    router.minutes(1)
    router.room.fail = revoked
    router.take(alert(severity="p1"))
    router.minutes(9)
    assert router.second.messages == []

    router.minutes(5)
    (text,) = router.second.texts
    assert text.startswith("<users/all> P0 · WebhookUnusable alerting")
    assert "refuses the main webhook" in said(router.second.messages)

    router.room.fail = well
    router.minutes(5)
    assert any("WebhookUnusable · resolved" in text for text in router.room.texts)


def test_it_ends_after_a_restart_too(router):
    router.canary_room.fail = revoked
    router.minutes(15)
    router.killed()
    router.canary_room.fail = well
    router.minutes(5)

    assert "P0 · WebhookUnusable · resolved alerting" in router.room.texts


def test_every_figure_is_there_from_the_start(router):
    told = router.metrics()

    for name in (
        'pings_total{result="ok"}', 'pings_total{result="failed"}',
        'pings_total{result="withheld"}', 'canary_messages_total{result="ok"}',
        'canary_messages_total{result="failed"}', "escalations_total", "acknowledgements_total",
        'messages{room="main",state="delivered"}', 'messages{room="second",state="waiting"}',
    ):  # fmt: skip
        assert f"why504_alerts_{name} 0.0" in told


def test_figures_count_what_happened(router):
    router.escalating._after_s = 60.0
    router.take(alert())
    router.minutes(5)
    (path,) = [row[0] for row in router.ledger._database.all("SELECT key FROM incidents")]
    router.ledger.acknowledgements.add([path], "Lan", router.clock.wall_ns())
    told = router.metrics()

    assert "why504_alerts_escalations_total 1.0" in told
    assert "why504_alerts_acknowledgements_total 1.0" in told
    assert 'why504_alerts_messages{room="second",state="delivered"} 1.0' in told
