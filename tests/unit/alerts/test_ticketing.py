"""One ticket an incident, whatever is killed; and what is new is told once, a minute apart."""

from __future__ import annotations

import json
import logging
import sqlite3

import pytest
from alerts_by_hand import PLACE, alert, at
from test_causes_in_cards import FOUND
from tickets_by_hand import Desk, Killed, ListedTickets

from why504.alerts.cards.frame import Place
from why504.alerts.tickets import ticketing
from why504.errors import TicketBusy, TicketRefused


@pytest.fixture
def tracker() -> ListedTickets:
    return ListedTickets()


@pytest.fixture
def desk(tmp_path, tracker) -> Desk:
    return Desk(tmp_path, tracker)


def p1(name: str = "LatencyP99High", **more):
    return alert(name, "p1", **more)


def text(note) -> str:
    return "\n".join(note.lines)


def states(desk, column: str = "state", where: str = "") -> list[str]:
    database = sqlite3.connect(desk.router.file)
    rows = database.execute(f"SELECT {column} FROM tickets {where}").fetchall()
    database.close()
    return [row[0] for row in rows]


def busy() -> None:
    raise TicketBusy("tracker.example answered 503")


def killed() -> None:
    raise Killed


def test_a_p1_has_a_ticket_within_seconds(desk, tracker):
    desk.take(p1())
    desk.run(2)

    (note,) = tracker.only
    assert note.title == "P1 · LatencyP99High · shop"
    assert note.lines[0] == "firing: P1 LatencyP99High"
    assert "  summary: LatencyP99High of shop" in note.lines
    assert desk.counted("opened") == 1


@pytest.mark.parametrize("severity", ["p0", "p2", "none"])
def test_nothing_else_has_one(desk, tracker, severity):
    desk.take(alert(severity=severity))
    desk.run(5)

    assert tracker.tickets == {}
    assert desk.counted("opened") == 0


def test_many_alerts_of_one_incident_are_one_ticket(desk, tracker):
    for n in range(100):
        desk.take(p1(f"Rule{n}"), p1())
        desk.run(1)

    assert len(tracker.tickets) == 1
    assert len(tracker.only) == 2
    desk.run(120)
    said = "\n".join(text(note) for note in tracker.only)
    fingerprints = [p1(f"Rule{n}").fingerprint for n in range(100)]
    assert all(f"Rule{n}" in said or fingerprints[n] in said for n in range(100))


def test_each_service_has_its_own(desk, tracker):
    desk.take(*(p1(service=f"shop-{n}") for n in range(5)))
    desk.run(60)

    assert sorted(notes[0].title for notes in tracker.tickets.values()) == [
        f"P1 · LatencyP99High · shop-{n}" for n in range(5)
    ]


def test_a_p1_that_becomes_a_p0_keeps_its_ticket(desk, tracker):
    desk.take(p1())
    desk.run(5)
    desk.take(alert("Gateway504Ratio", "p0"))
    desk.run(120)

    first, second = tracker.only
    assert first.title.startswith("P1")
    assert second.lines[0] == "firing: P0 Gateway504Ratio"


def test_a_p0_that_a_p1_joins_has_one_that_tells_both(desk, tracker):
    desk.take(alert("Gateway504Ratio", "p0"))
    desk.run(5)
    desk.take(p1())
    desk.run(120)

    (note,) = tracker.only
    assert note.title == "P0 · Gateway504Ratio · shop"
    assert "firing: P1 LatencyP99High" in note.lines


def test_what_comes_within_a_minute_is_one_comment(desk, tracker):
    desk.take(p1())
    desk.run(5)
    for n in range(5):
        desk.take(p1(f"Rule{n}"))
        desk.run(5)
    assert len(tracker.only) == 1

    desk.run(60)
    _, comment = tracker.only
    assert [line for line in comment.lines if line.startswith("firing")] == [
        f"firing: P1 Rule{n}" for n in range(5)
    ]
    assert desk.counted("commented") == 1


def test_nothing_new_is_no_comment(desk, tracker):
    desk.take(p1())
    for _ in range(100):
        desk.take(p1())
        desk.run(60)

    assert len(tracker.only) == 1


def test_the_end_is_the_last_comment(desk, tracker):
    desk.take(p1(), p1("Another"))
    desk.run(120)
    desk.take(p1(end_s=100))
    desk.run(120)
    desk.take(p1("Another", end_s=230))
    desk.run(600)

    _, once, over = tracker.only
    assert once.lines[:3] == [
        "resolved: P1 LatencyP99High", "  Since: 2026-11-18 11:06:40 UTC", "  Lasted: 100 s",
    ]  # fmt: skip
    assert "over" not in text(once)
    assert over.lines[-1] == "over, lasted 230 s"
    assert states(desk) == ["over"]


def test_an_alert_that_ends_without_a_word_ends_its_ticket(desk, tracker):
    """Alertmanager tells the next firing alone: the incident before is over, and nobody said so."""
    desk.take(p1())
    desk.run(120)
    desk.take(p1(start_s=119))
    desk.run(120)

    first, second = tracker.tickets.values()
    assert [note.lines[-1] for note in first][1:] == ["over, lasted 120 s"]
    assert len(second) == 1


def test_a_service_that_is_slow_again_has_another_ticket(desk, tracker):
    desk.take(p1())
    desk.take(p1(end_s=4))
    desk.run(5)
    desk.take(p1(start_s=100))
    desk.run(5)

    assert len(tracker.tickets) == 2
    (first, *_), _ = tracker.tickets.values()
    assert first.lines[-1] == "over, lasted 4 s"


def test_the_cause_is_told_once(desk, tracker):
    desk.take(p1(), alert())
    desk.run(5)
    (incident,) = desk.router.ledger.incidents.unexplained(0)
    desk.router.ledger.incidents.explain([incident], FOUND, desk.clock.wall_ns())
    desk.run(100)
    desk.take(p1("Another"))
    desk.run(100)

    _, comment, later = tracker.only
    assert "Cause" not in text(later)
    assert comment.lines[0] == "Cause: F1 Broker unreachable, frozen or blocked"
    assert "  ↳ broker rabbitmq" in comment.lines
    assert "  trace: 9f3c" in comment.lines


@pytest.mark.parametrize("moment", ["fail", "cut"])
def test_killed_at_the_request_it_opens_one_ticket(desk, tracker, moment):
    setattr(tracker, moment, killed)
    desk.take(p1())
    with pytest.raises(Killed):
        desk.run(5)

    setattr(tracker, moment, lambda: None)
    desk.restart()
    desk.run(tracker.settles_s - 2)
    assert len(tracker.tickets) == (moment == "cut")
    assert desk.counted("opened") == 0, "it must not look before the tracker can know"

    desk.run(5)
    assert len(tracker.only) == 1
    assert desk.counted("opened") == 1


def test_killed_at_a_comment_it_tells_it_once_and_later_what_came_after(desk, tracker):
    desk.take(p1())
    desk.run(60)
    desk.take(p1("Second"))
    tracker.cut = killed
    with pytest.raises(Killed):
        desk.run(60)

    tracker.cut = lambda: None
    desk.take(p1("Third"))
    desk.restart()
    desk.run(200)
    said = [[line for line in note.lines if line.startswith("firing")] for note in tracker.only]
    assert said[1:] == [["firing: P1 Second"], ["firing: P1 Third"]]


def test_without_its_ledger_it_finds_the_ticket_again(desk, tracker, tmp_path):
    desk.take(p1())
    desk.run(5)
    (tmp_path / "new").mkdir()

    other = Desk(tmp_path / "new", tracker)
    other.take(p1())
    other.run(5)
    assert len(tracker.only) == 1


def test_a_tracker_that_is_down_is_asked_less_and_less_and_nothing_is_lost(desk, tracker):
    tracker.fail = busy
    desk.take(p1())
    desk.run(3600)
    assert 40 <= desk.counted("failed") <= 200
    desk.take(p1("Another"))

    tracker.fail = lambda: None
    desk.run(200)
    first, comment = tracker.only
    assert "Another" not in text(first)
    assert "Another" in text(comment)


def test_it_does_not_ask_before_the_tracker_wants_to_be_asked(desk, tracker):
    def asked() -> None:
        raise TicketBusy("tracker.example answered 429", after_s=900.0)

    tracker.fail = asked
    desk.take(p1())
    desk.run(890)

    assert desk.counted("failed") == 1


def test_a_refused_ticket_is_dead_said_once_and_holds_nothing_up(desk, tracker, caplog):
    def refused() -> None:
        raise TicketRefused("tracker.example answered 422: Validation Failed")

    tracker.fail = refused
    desk.take(p1())
    desk.run(5)
    tracker.fail = lambda: None
    desk.take(p1("Another"), p1(service="other"))
    desk.run(300)

    assert tracker.only[0].title == "P1 · LatencyP99High · other"
    assert desk.counted("dead") == 1
    assert sum("422: Validation Failed" in record.getMessage() for record in caplog.records) == 1
    assert sorted(states(desk)) == ["dead", "open"]
    assert states(desk, "reason", "WHERE state = 'dead'") == [
        "tracker.example answered 422: Validation Failed"
    ]


def test_the_same_failure_is_logged_once(desk, tracker, caplog):
    tracker.fail = busy
    desk.take(p1())
    desk.run(3600)

    assert [record.getMessage() for record in caplog.records] == [
        "tickets wait: tracker.example answered 503"
    ]


def test_a_surprise_is_tried_again(desk, tracker, caplog):
    def surprise() -> None:
        raise KeyError("number")

    caplog.set_level(logging.CRITICAL)
    tracker.fail = surprise
    desk.take(p1())
    desk.run(60)
    tracker.fail = lambda: None
    desk.run(120)

    assert len(tracker.only) == 1


def test_an_incident_of_which_no_text_can_be_made_has_a_ticket(desk, tracker, monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(ticketing, "note_of", lambda *_: 1 / 0)
    desk.take(p1(), p1(service="other"))
    desk.run(10)

    said = [text(notes[0]) for notes in tracker.tickets.values()]
    assert sorted(said) == sorted(
        f"alerts: {one.fingerprint}" for one in (p1(), p1(service="other"))
    )


def test_another_tracker_is_not_told_of_tickets_that_it_does_not_have(desk, tracker):
    desk.take(p1())
    desk.run(5)
    tracker.fail = busy
    desk.take(p1("Before"))
    desk.run(70)
    desk.tickets = other = ListedTickets(name="other")
    desk.restart()
    desk.take(p1("Another"), p1(service="other"))
    desk.run(200)

    assert len(tracker.only) == 1
    assert other.only[0].title == "P1 · LatencyP99High · other"
    assert desk.counted("failed") == 0


def test_old_incidents_get_no_tickets_when_a_tracker_is_set_up(desk, tracker):
    desk.take(p1())
    desk.clock.advance(25 * 3600)
    desk.take(p1(service="other", start_s=25 * 3600))
    desk.run(5)

    assert tracker.only[0].title == "P1 · LatencyP99High · other"


def test_a_ledger_from_before_there_were_tickets_works(desk, tracker):
    desk.take(p1())
    with sqlite3.connect(desk.router.file) as database:
        database.executescript("DROP TABLE tickets; DROP TABLE ticket_notes")
    database.close()
    desk.restart()
    desk.run(5)

    assert len(tracker.only) == 1


def test_a_card_does_not_wait_for_a_ticket_and_a_later_one_links_it(desk, tracker, monkeypatch):
    place = Place(mention=PLACE.mention, link_hosts=frozenset({"tracker.example"}))
    monkeypatch.setattr(desk.router.delivery, "_place", place)
    desk.take(p1())
    desk.router.run(1)
    desk.run(5)
    desk.take(p1(end_s=5))
    desk.router.run(5)

    first, second = (json.dumps(message) for message in desk.router.room.messages)
    assert "tracker.example" not in first
    assert '"text": "Ticket", "onClick": {"openLink": {"url": "https://tracker.example/1"}}' in (
        second
    )


def test_metrics_are_there_at_0(desk):
    results = ("opened", "commented", "failed", "dead")
    assert [desk.counted(result) for result in results] == [0, 0, 0, 0]
    assert at(0) == desk.clock.wall_ns()
