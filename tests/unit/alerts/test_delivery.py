"""From an alert to the room: once, in order, the urgent first, and never too fast."""

from __future__ import annotations

import json

import pytest
from alerts_by_hand import ListedRoom, Router, alert, at

from why504.alerts.intake import from_api
from why504.alerts.kept.ledger import Ledger
from why504.alerts.rooms import delivery
from why504.errors import AlertsUnavailable, ChatBusy, ChatRefused


@pytest.fixture
def router(tmp_path) -> Router:
    return Router(tmp_path)


def busy(*_: str) -> None:
    raise ChatBusy("chat.googleapis.com answered 500: INTERNAL")


def test_a_p0_is_in_the_room_at_once_and_mentions_whoever_is_on_call(router):
    router.take(alert())
    router.run(0.1)

    assert router.room.texts == ["<users/all> P0 · Gateway504Ratio shop"]


def test_what_is_told_again_is_said_once(router):
    assert [router.take(alert()) for _ in range(3)] == [1, 0, 0]
    router.run(60)

    assert len(router.room.messages) == 1


def test_an_end_goes_into_the_thread_of_its_begin_and_mentions_nobody(router):
    router.take(alert())
    router.run(5)
    router.take(alert(end_s=4))
    router.run(5)

    first, second = router.room.messages
    assert first["thread"] == second["thread"]
    assert second["text"] == "P0 · Gateway504Ratio · resolved shop"


def test_alerts_of_one_service_at_one_time_are_one_incident(router):
    router.take(alert())
    router.run(5)
    router.take(alert("DBPoolExhausted"), alert("LatencyP99High", "p1"))
    router.run(10)

    threads = {message["thread"]["threadKey"] for message in router.room.messages}
    assert (len(threads), len(router.room.messages)) == (1, 2)


def test_a_service_that_hangs_again_later_is_another_incident(router):
    router.take(alert())
    router.take(alert(end_s=4))
    router.run(5)
    router.take(alert(start_s=100))
    router.run(5)

    assert len({message["thread"]["threadKey"] for message in router.room.messages}) == 2


def test_a_p1_that_becomes_a_p0_wakes_somebody(router):
    router.take(alert("LatencyP99High", "p1"))
    router.run(5)
    router.take(alert())
    router.run(5)

    assert router.room.texts == [
        "P1 · LatencyP99High shop",
        "<users/all> P0 · Gateway504Ratio shop",
    ]


def test_what_ended_is_not_told_as_if_it_went_on(router):
    router.take(alert(), alert("LatencyP99High", "p1"))
    router.run(5)
    router.take(alert(end_s=4))
    router.run(10)

    assert router.room.texts[-1] == "P0 · Gateway504Ratio · resolved shop"


def raised(router, **more):
    told = {"labels": {"alertname": "CircuitBreakerOpen", "severity": "p0"}, **more}
    return from_api([told], router.clock.wall_ns()).alerts


def test_what_a_service_raises_again_and_again_is_one_alert_that_ends_when_it_stops(router):
    for _ in range(20):
        router.take(*raised(router))
        router.run(60)
    assert router.room.texts == ["<users/all> P0 · CircuitBreakerOpen"]

    router.run(600)
    assert router.room.texts[1:] == ["P0 · CircuitBreakerOpen · resolved"]


def test_an_end_that_was_told_beforehand_comes_by_itself(router):
    router.take(*raised(router, endsAt="2026-11-18T11:07:40Z"))
    router.run(30)
    assert len(router.room.messages) == 1

    router.run(60)
    assert len(router.room.messages) == 2
    assert "60 s" in json.dumps(router.room.messages[1])


def test_what_alertmanager_forgot_does_not_burn_for_ever(router):
    router.take(alert())
    router.run(6 * 3600)
    router.take(alert("DBPoolExhausted", start_s=6 * 3600))
    router.run(60)

    assert router.room.texts[-1] == "<users/all> P0 · DBPoolExhausted shop"


def test_an_alert_that_comes_late_does_not_open_what_is_over(router):
    router.take(alert(end_s=4))
    router.take(alert())
    router.run(5)

    assert router.room.texts == ["P0 · Gateway504Ratio · resolved shop"]


def test_the_same_bytes_under_the_same_id_until_the_room_has_them(router):
    tried = []

    def cut_off(body: str, request_id: str) -> None:
        tried.append((body, request_id))
        if len(tried) < 4:
            raise ChatBusy("cut off")

    router.room.fail = cut_off
    router.take(alert())
    router.run(1)
    router.take(alert("Another"))
    router.run(60)

    assert len(set(tried[:4])) == 1
    assert len(router.room.messages) == 2


def test_a_router_that_was_killed_goes_on_where_it_was(router):
    """The room has the message, and the router died before it could note that."""
    room = router.room
    router.take(alert())
    frozen = router.delivery._next()
    room.send(frozen.body, frozen.request_id)
    router.ledger.close()

    router.start()
    router.run(30)

    assert len(room.messages) == 1
    assert router.ledger.states() == {"waiting": 0, "delivered": 1, "dead": 0}


def test_attempts_grow_apart_while_the_room_is_down(router):
    tries = []

    def down(body: str, request_id: str) -> None:
        tries.append(router.clock.monotonic_s())
        busy()

    router.room.fail = down
    router.take(alert())
    router.run(3600)

    assert 100 < len(tries) < 250
    assert "INTERNAL" in router.delivery.failure


def test_what_is_urgent_overtakes_what_waits(router):
    router.room.fail = busy
    router.take(alert("LatencyP99High", "p1"))
    router.run(2)
    router.take(alert(service="other"))
    router.run(2)
    router.room.fail = lambda *_: None
    router.run(90)

    assert [text.rsplit("·", 1)[0] for text in router.room.texts] == ["<users/all> P0 ", "P1 "]


def test_an_end_never_overtakes_its_begin(router):
    """The P1 began, is frozen and can't be sent; its end comes with a P0 of the same service."""
    router.room.fail = busy
    router.take(alert("LatencyP99High", "p1"))
    router.run(2)
    router.take(alert(), alert("LatencyP99High", "p1", end_s=1))
    router.room.fail = lambda *_: None
    router.run(120)

    said = [json.dumps(one, ensure_ascii=False) for one in router.room.messages]
    begun = next(n for n, text in enumerate(said) if "LatencyP99High · firing" in text)
    ended = next(n for n, text in enumerate(said) if "LatencyP99High · resolved" in text)
    assert begun < ended


def test_a_storm_is_told_in_few_messages_and_names_every_alert(router):
    alerts = [alert(service=f"shop-{n}", severity=f"p{n % 2}") for n in range(1000)]
    for second in range(10):
        router.take(*alerts[second * 100 : second * 100 + 100])
        router.run(1)
    router.run(50)

    said = json.dumps(router.room.messages, ensure_ascii=False)
    assert len(router.room.messages) <= 20
    assert all(one.fingerprint in said for one in alerts)


def test_in_a_storm_no_p0_waits_for_the_messages_of_others(router):
    for n in range(30):
        router.take(alert("LatencyP99High", "p1", service=f"shop-{n}"))
        router.run(1)
    router.take(*(alert(service=f"pay-{n}") for n in range(3)))
    router.run(5)

    assert "P0 · 3 alerts in 3 services" in router.room.texts[-1]


def test_after_an_outage_what_burns_comes_first_and_the_rest_in_one_message(router):
    router.room.fail = busy
    for n in range(50):
        router.take(alert(service=f"shop-{n}"), alert(service=f"shop-{n}", end_s=60))
    router.run(24 * 3600)
    router.take(alert(service="burns", start_s=24 * 3600))
    router.room.fail = lambda *_: None
    router.run(120)

    assert "burns" in router.room.texts[0] or "burns" in router.room.texts[1]
    assert len(router.room.messages) <= 5


def test_a_card_that_is_refused_is_sent_as_text_and_if_that_is_too_it_is_kept(router):
    def refuse_cards(body: str, request_id: str) -> None:
        if "cardsV2" in body:
            raise ChatRefused("chat.googleapis.com answered 400: INVALID_ARGUMENT")

    router.room.fail = refuse_cards
    router.take(alert())
    router.run(10)
    assert router.room.messages[0].keys() == {"text", "thread"}
    assert alert().fingerprint in router.room.texts[0]

    router.room.fail = lambda *_: refuse_cards("cardsV2", "")
    router.take(alert(service="other"))
    router.run(10)
    assert router.ledger.states()["dead"] == 1
    assert "INVALID_ARGUMENT" in router.ledger.history(1)[0].reason


def test_an_alert_of_which_no_card_can_be_made_is_told_and_holds_up_nobody(router, monkeypatch):
    made = delivery.message

    def breaks(told, *rest):
        if told[0].service == "cursed":
            raise RuntimeError("no card")
        return made(told, *rest)

    monkeypatch.setattr(delivery, "message", breaks)
    cursed = alert(service="cursed")
    router.take(cursed)
    router.take(alert())
    router.run(10)

    assert cursed.fingerprint in router.room.texts[0]
    assert router.room.texts[1] == "<users/all> P0 · Gateway504Ratio shop"


def test_p2_alerts_come_once_an_hour_those_that_lived_for_a_second_too(router):
    for n in range(3):
        router.take(alert("LLMFallbackUsed", "p2", start_s=n * 10))
        router.take(alert("LLMFallbackUsed", "p2", start_s=n * 10, end_s=n * 10 + 1))
    router.run(3 * 3600)

    (digest,) = router.room.messages
    assert digest["text"] == "P2 digest: 3 alerts in the last hour"
    assert "3 x LLMFallbackUsed · Lasted 3 s" in json.dumps(digest, ensure_ascii=False)


def test_an_hour_without_p2_alerts_has_no_digest(router):
    router.run(3 * 3600)

    assert router.room.messages == []


def beat(router, minutes: int) -> None:
    for _ in range(minutes):
        router.take(alert("Watchdog", "none"))
        router.run(60)


def test_the_heartbeat_is_never_told(router):
    beat(router, 60)

    assert router.room.messages == []


def test_a_heartbeat_that_stops_wakes_somebody_within_four_minutes_until_it_is_back(router):
    beat(router, 10)
    router.run(180)
    assert router.room.texts == ["<users/all> P0 · AlertingSilent alerting"]

    router.run(7200)
    beat(router, 2)
    assert router.room.texts[1:] == ["P0 · AlertingSilent · resolved alerting"]

    router.run(240)
    assert router.room.texts[2:] == ["<users/all> P0 · AlertingSilent alerting"]


def test_a_router_that_was_away_itself_waits_for_the_heartbeat_first(router):
    beat(router, 2)
    router.ledger.close()
    router.clock.advance(3600)
    router.start()
    router.run(60)
    beat(router, 10)

    assert router.room.messages == []


def test_a_disk_that_refuses_takes_nothing(tmp_path):
    ledger = Ledger(tmp_path / "alerts.sqlite")
    ledger._database._connection.execute("PRAGMA max_page_count = 1")

    with pytest.raises(AlertsUnavailable, match="full"):
        ledger.take([alert(service=f"s{n}") for n in range(2000)], [], at(0))

    ledger._database._connection.execute("PRAGMA max_page_count = 100000")
    assert ledger.unsent() == []


def test_a_file_that_is_no_ledger_is_said_so(tmp_path):
    (tmp_path / "alerts.sqlite").write_bytes(b"garbage" * 1000)

    with pytest.raises(AlertsUnavailable, match="can't keep alerts"):
        Ledger(tmp_path / "alerts.sqlite")


def test_a_room_takes_a_message_of_one_id_once():
    room = ListedRoom()
    room.send('{"text": "a"}', "1")
    room.send('{"text": "a"}', "1")

    assert len(room.messages) == 1
