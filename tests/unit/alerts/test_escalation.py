"""A P0 that burns and that nobody acknowledges is told once more, on top, and only once."""

from __future__ import annotations

import pytest
from alerts_by_hand import alert
from guarded_by_hand import Guarded, ack_paths, busy, revoked, well

AFTER_S = 600
ESCALATED = "<users/all> P0 · Gateway504Ratio shop · nobody acknowledged this for 600 s"


@pytest.fixture
def router(tmp_path) -> Guarded:
    return Guarded(tmp_path, escalate_after_s=AFTER_S)


def test_it_is_told_in_the_second_room_once_on_top_with_the_mention(router):
    router.take(alert())
    router.run(AFTER_S - 5)
    assert router.second.messages == []

    router.run(10)
    assert router.second.texts == [ESCALATED]
    assert len(ack_paths(router.second.messages[0])) == 1

    router.run(1800)
    assert router.second.texts == [ESCALATED]
    assert len(router.room.messages) == 1


def test_without_a_second_room_it_is_told_in_the_first_outside_the_thread(tmp_path):
    router = Guarded(tmp_path, with_second=False, escalate_after_s=AFTER_S)
    router.take(alert())
    router.run(2 * AFTER_S)

    first, escalated = router.room.messages
    assert escalated["text"] == ESCALATED
    assert escalated["thread"] != first["thread"]


def test_it_is_told_once_across_restarts(router):
    router.take(alert())
    for _ in range(8):
        router.run(AFTER_S / 5)
        router.killed()
    router.run(AFTER_S)

    assert router.second.texts == [ESCALATED]


def test_killed_between_writing_it_down_and_sending_it_is_told_once(router):
    router.take(alert())
    router.run(1)
    router.clock.advance(AFTER_S)
    router.escalating.step()
    router.killed()
    assert router.second.messages == []

    router.run(AFTER_S)
    assert router.second.texts == [ESCALATED]


def test_what_somebody_looks_after_is_not(router):
    router.take(alert())
    router.run(60)
    router.page().post(ack_paths(router.room.messages[0])[0])
    router.run(2 * AFTER_S)

    assert router.second.messages == []


def test_what_is_over_is_not(router):
    router.take(alert())
    router.run(60)
    router.take(alert(end_s=50))
    router.run(2 * AFTER_S)

    assert router.second.messages == []


def test_where_only_a_p1_goes_on_it_is_not(router):
    router.take(alert(), alert("LatencyP99High", "p1"))
    router.run(60)
    router.take(alert(end_s=50))
    router.run(2 * AFTER_S)

    assert router.second.messages == []


def test_a_p1_is_not(router):
    router.take(alert(severity="p1"))
    router.run(2 * AFTER_S)

    assert router.second.messages == []


def test_time_counts_from_when_a_room_heard_of_it(router):
    router.room.fail = router.second.fail = busy
    router.take(alert())
    router.run(2 * AFTER_S)
    router.room.fail = router.second.fail = well
    router.run(AFTER_S - 60)
    assert not any("nobody acknowledged" in text for text in router.second.texts)

    router.run(180)
    assert [text for text in router.second.texts if "nobody" in text] == [ESCALATED]


def test_what_only_the_second_room_heard_is_told_there_again(router):
    router.room.fail = revoked
    router.take(alert())
    router.run(AFTER_S + 70)

    late, escalated = [text for text in router.second.texts if "Gateway504Ratio" in text]
    assert late.endswith("within a minute")
    assert escalated == ESCALATED


def test_of_a_storm_one_message_tells(router):
    router.take(*(alert(service=f"shop-{n}") for n in range(50)))
    router.run(2 * AFTER_S)

    (text,) = router.second.texts
    assert text.startswith("<users/all> P0 · 50 alerts in 50 services · nobody acknowledged")
