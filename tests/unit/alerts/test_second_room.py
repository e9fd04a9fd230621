"""A P0 that the first room does not hear is told in the second: once, and whatever is killed."""

from __future__ import annotations

import pytest
from alerts_by_hand import alert
from guarded_by_hand import Guarded, ack_paths, busy, revoked, said, well

from why504.alerts.rooms.finding import Finding
from why504.errors import AlertsUnavailable, ChatRefused

TOLD = "<users/all> P0 · Gateway504Ratio shop · the first room did not get this within a minute"


@pytest.fixture
def router(tmp_path) -> Guarded:
    return Guarded(tmp_path)


def test_what_the_first_room_hears_is_not_told_in_the_second(router):
    router.take(alert())
    router.run(600)

    assert len(router.room.messages) == 1
    assert router.second.messages == []


@pytest.mark.parametrize("fails", [busy, revoked])
def test_a_p0_is_in_the_second_room_after_a_minute_and_in_the_first_when_that_is_back(
    router, fails
):
    router.room.fail = fails
    router.take(alert())
    router.run(59)
    assert router.second.messages == []

    router.run(3)
    assert router.second.texts == [TOLD]

    router.run(1200)
    router.room.fail = well
    router.run(120)
    assert router.room.texts[0] == "<users/all> P0 · Gateway504Ratio shop"
    assert [text for text in router.second.texts if "Gateway504Ratio" in text] == [TOLD]


def test_what_the_first_room_has_yet_to_hear_wakes_people_there_as_if_nobody_was_told(router):
    """Of two incidents only one is written down for the first room when the second hears both."""
    router.room.fail = busy
    router.take(alert())
    router.run(10)
    router.take(alert(service="other"))
    router.run(70)
    assert len(router.second.messages) == 2

    router.room.fail = well
    router.run(120)
    assert router.room.texts == [
        "<users/all> P0 · Gateway504Ratio shop", "<users/all> P0 · Gateway504Ratio other",
    ]  # fmt: skip


def test_more_of_the_same_incident_is_not_told_there_again(router):
    router.room.fail = busy
    router.take(alert())
    router.run(70)
    router.take(alert("DBPoolExhausted"), alert("LatencyP99High", "p1"))
    router.run(200)

    assert router.second.texts == [TOLD]


def test_a_p1_that_waits_wakes_nobody_elsewhere(router):
    router.room.fail = busy
    router.take(alert(severity="p1"))
    router.run(500)

    assert router.second.messages == []


def test_a_p0_that_the_first_room_refuses_for_good_is_told_in_the_second(router):
    def refuse(*_: str) -> None:
        raise ChatRefused("chat.googleapis.com answered 400: INVALID_ARGUMENT")

    router.room.fail = refuse
    router.take(alert())
    router.run(62)

    assert router.ledger.states()["dead"] == 1
    assert router.second.texts == [TOLD]


def test_killed_between_writing_it_down_and_sending_it_is_told_once(router):
    router.room.fail = busy
    router.take(alert())
    router.clock.advance(61)
    frozen = router.second_room._late()
    router.killed()
    assert router.second.messages == []

    router.run(300)
    assert list(router.second.seen) == [frozen.request_id]


def test_killed_between_sending_it_and_noting_that_is_told_once(router):
    router.room.fail = busy
    router.take(alert())
    router.clock.advance(61)
    frozen = router.second_room._late()
    router.second.send(frozen.body, frozen.request_id)
    router.killed()
    router.run(300)

    assert len(router.second.messages) == 1
    assert router.ledger.states("second") == {"waiting": 0, "delivered": 1, "dead": 0}


def test_its_message_has_an_id_of_its_own(router):
    router.room.fail = busy
    router.take(alert())
    router.run(62)
    router.room.fail = well
    router.run(90)

    assert len({*router.room.seen, *router.second.seen}) == 2


def test_a_storm_is_told_there_in_one_message(router):
    router.room.fail = busy
    router.take(*(alert(service=f"shop-{n}") for n in range(50)))
    router.run(90)

    (message,) = router.second.messages
    assert message["text"].startswith("<users/all> P0 · 50 alerts in 50 services")
    assert len(ack_paths(message)) == 1


def test_what_is_over_when_it_is_told_there_mentions_nobody(router):
    router.room.fail = busy
    router.take(alert())
    router.run(30)
    router.take(alert(end_s=25))
    router.run(60)

    (text,) = router.second.texts
    assert text.startswith("P0 · Gateway504Ratio · resolved shop")


def test_what_was_over_a_day_before_there_was_a_second_room_is_not_told_there(tmp_path):
    router = Guarded(tmp_path, with_second=False)
    router.room.fail = busy
    router.take(alert(), alert(end_s=25))
    router.clock.advance(25 * 3600)
    router.with_second = True
    router.killed()
    router.run(60)

    assert router.second.messages == []


def test_the_cause_that_the_first_room_would_have_shown_is_shown_there(router):
    router.room.fail = busy
    router.take(alert())
    (told,) = router.ledger.unsent()
    finding = Finding("F1", "Broker unreachable", "publisher.py:48", [], "i", "t", ["shop"])
    router.ledger.incidents.explain([told.incident], finding, router.clock.wall_ns())
    router.run(62)
    assert "Cause · F1 Broker unreachable" in said(router.second.messages)

    router.room.fail = well
    router.run(90)
    assert "Cause · F1 Broker unreachable" in said(router.room.messages)


def test_a_second_room_that_is_down_too_gets_it_when_it_is_back(router):
    router.room.fail = router.second.fail = busy
    router.take(alert())
    router.run(900)
    router.second.fail = well
    router.run(90)

    assert router.second.texts == [TOLD]


def disk(router: Guarded, *, refuses: bool) -> None:
    state = "ON" if refuses else "OFF"
    router.ledger._database._connection.execute(f"PRAGMA query_only = {state}")


def refused(router: Guarded) -> None:
    with pytest.raises(AlertsUnavailable):
        router.take(alert())


def tell_directly(router: Guarded, seconds: float) -> None:
    end_s = router.clock.monotonic_s() + seconds
    while router.clock.monotonic_s() < end_s:
        router.clock.advance(max(router.second_room.step(), 0.5))


def test_a_disk_that_refuses_is_told_in_the_second_room_at_most_once_in_ten_minutes(router):
    disk(router, refuses=True)
    refused(router)
    tell_directly(router, 2)
    assert router.second.texts == ["<users/all> P0 · AlertsNotKept alerting"]
    assert "readonly database" in said(router.second.messages)
    assert "Not kept: Gateway504Ratio shop." in said(router.second.messages)
    assert ack_paths(router.second.messages[0]) == []

    refused(router)
    tell_directly(router, 580)
    assert len(router.second.messages) == 1

    tell_directly(router, 30)
    assert len(router.second.messages) == 2


def test_a_disk_that_refused_for_a_moment_is_told_once(router):
    disk(router, refuses=True)
    refused(router)
    disk(router, refuses=False)
    router.take(alert())
    router.run(1200)

    assert router.second.texts == ["<users/all> P0 · AlertsNotKept alerting"]


def test_that_the_disk_refuses_is_tried_until_it_is_there_with_the_same_bytes(router):
    disk(router, refuses=True)
    refused(router)
    tried = []

    def fails(body: str, request_id: str) -> None:
        tried.append((body, request_id))
        busy()

    router.second.fail = fails
    tell_directly(router, 60)
    router.second.fail = well
    tell_directly(router, 60)

    assert len(tried) > 2
    assert len(set(tried)) == 1
    assert len(router.second.messages) == 1
