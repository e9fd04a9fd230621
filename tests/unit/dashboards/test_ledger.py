"""The router's ledger is looked at without a trace, whatever its state; and what fired when."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dashboards.ledger import alerts_in, ledger_of, levels_of
from dashboards.settings import Settings
from tests.unit.alerts.alerts_by_hand import Router, alert, at
from tests.unit.dashboards.explorer_examples import pool_incident
from why504.alerts.alert import Level
from why504.alerts.kept.ledger import Ledger
from why504.alerts.kept.reading import Reading
from why504.errors import ChatBusy, ChatRefused, LedgerUnreadable
from why504.model import Incident, Window


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    made = Router(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def told(router: Router) -> Router:
    """A P0 that burns, a P1 that is over, and a P2 that waits for its digest."""
    router.take(alert())
    router.run(5)
    router.take(alert("LLMRateLimited", "p1", start_s=5))
    router.run(5)
    router.take(alert("LLMRateLimited", "p1", start_s=5, end_s=9), alert("Slow", "p2", start_s=9))
    router.run(5)
    return router


def files(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return what is in a folder, to the byte and to the nanosecond."""
    return {
        one.name: (one.stat().st_mtime_ns, one.stat().st_size, one.read_bytes())
        for one in folder.iterdir()
        if not one.name.endswith("-shm")
    }


def look(file: Path) -> list[str]:
    """Ask everything that can be asked; return the names of what burns."""
    with Reading(file) as reading:
        for message in reading.messages(10):
            assert reading.message(message.request_id) == message
            reading.told(message.request_id, 10)
        reading.states()
        reading.quiet(at(1e6))
        reading.fired(0, at(1e6))
        return [one.alert.name for one in reading.burning()]


def test_what_was_told_is_read_beside_a_running_router(told: Router):
    with Reading(told.file) as reading:
        messages = reading.messages(10)
        assert [(m.level, m.state, m.attempts, m.room) for m in messages] == [
            (Level.P1, "delivered", 1, "main"),
            (Level.P1, "delivered", 1, "main"),
            (Level.P0, "delivered", 1, "main"),
        ]
        assert reading.states() == {"delivered": 3, "waiting": 0, "dead": 0}
        (first,) = reading.told(messages[2].request_id, 10)
        assert (first[0].name, len(first[1])) == ("Gateway504Ratio", 16)
        assert [change.alert.name for change in reading.quiet(at(100))] == ["Slow"]
        assert messages[2].taken_ns == at(0)


def test_messages_are_found_by_level_and_by_state(told: Router):
    told.room.fail = lambda *_: (_ for _ in ()).throw(ChatBusy("not now"))
    told.take(alert("Late", "p0", "other", start_s=20))
    told.run(2)

    with Reading(told.file) as reading:
        waiting = reading.messages(10, state="waiting")
        assert [(m.level, m.reason, m.ended_ns) for m in waiting] == [(Level.P0, "not now", None)]
        assert len(reading.messages(10, level=Level.P0)) == 2
        assert reading.messages(10, level=Level.P1, state="dead") == []
        assert len(reading.messages(1)) == 1


def test_a_message_that_the_room_refused_for_good_tells_why(router: Router):
    router.room.fail = lambda *_: (_ for _ in ()).throw(ChatRefused("no such widget"))
    router.take(alert())
    router.run(10)

    with Reading(router.file) as reading:
        (dead,) = reading.messages(10, state="dead")
    assert (dead.reason, dead.attempts) == ("no such widget", 2)


def test_what_burns_is_told_most_urgent_first_with_who_looks_after_it(told: Router):
    with Reading(told.file) as reading:
        key = reading.burning()[0].incident
    told.ledger.acknowledgements.add([key], "Linh", at(12))

    with Reading(told.file) as reading:
        burning = reading.burning()
    assert [(one.alert.name, one.by, one.acknowledged_ns) for one in burning] == [
        ("Gateway504Ratio", "Linh", at(12)),
        ("Slow", None, None),
    ]


def test_looking_changes_nothing_beside_a_running_router(told: Router):
    before = files(told.file.parent)

    assert look(told.file) == ["Gateway504Ratio", "Slow"]

    assert files(told.file.parent) == before


def test_looking_at_a_ledger_that_nobody_has_open_makes_no_file_beside_it(told: Router):
    told.ledger.close()
    before = files(told.file.parent)
    assert set(before) == {"alerts.sqlite"}

    assert look(told.file) == ["Gateway504Ratio", "Slow"]

    assert files(told.file.parent) == before
    assert [one.name for one in told.file.parent.iterdir()] == ["alerts.sqlite"]
    told.start()


def test_what_is_only_in_the_log_of_a_router_that_was_killed_is_read_too(
    told: Router, tmp_path: Path
):
    left = tmp_path / "left"
    left.mkdir()
    for end in ("", "-wal"):
        shutil.copy(f"{told.file}{end}", left / f"alerts.sqlite{end}")
    before = files(left)

    assert look(left / "alerts.sqlite") == ["Gateway504Ratio", "Slow"]

    assert files(left) == before


def test_a_ledger_in_a_folder_that_may_not_be_written_to_is_read(told: Router, tmp_path: Path):
    told.ledger.close()
    tmp_path.chmod(0o500)
    try:
        assert look(told.file) == ["Gateway504Ratio", "Slow"]
    finally:
        tmp_path.chmod(0o700)
        told.start()


def test_a_router_goes_on_writing_while_somebody_looks(told: Router):
    with Reading(told.file) as reading:
        reading.burning()
        told.take(alert("New", "p0", "third", start_s=30))
        assert "New" in [one.alert.name for one in reading.burning()]


def test_many_may_look_at_once(told: Router):
    failures: list[BaseException] = []

    def looked() -> None:
        try:
            for _ in range(5):
                look(told.file)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=looked) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(5):
        told.take(alert(f"A{number}", "p2", start_s=40 + number))
    for thread in threads:
        thread.join()

    assert failures == []


def older(file: Path) -> None:
    Ledger(file).close()
    _run(file, "PRAGMA user_version = 0")


def newer(file: Path) -> None:
    Ledger(file).close()
    _run(file, "PRAGMA user_version = 99")


def without_a_table(file: Path) -> None:
    Ledger(file).close()
    _run(file, "DROP TABLE acknowledgements")
    _run(file, "DROP TABLE keys")
    with sqlite3.connect(file) as connection:
        connection.execute(
            "INSERT INTO alerts VALUES ('f', 1, 'firing', 'i', 9, ?)",
            (json.dumps({"labels": {}, "status": "firing", "starts_ns": 1}),),
        )
    connection.close()


def other_database(file: Path) -> None:
    _run(file, "CREATE TABLE t(x)")


def garbled(document: str) -> Callable[[Path], None]:
    def made(file: Path) -> None:
        Ledger(file).close()
        with sqlite3.connect(file) as connection:
            connection.execute(
                "INSERT INTO alerts VALUES ('f', 1, 'firing', 'i', 9, ?)", (document,)
            )
        connection.close()

    return made


def _run(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda file: None, "missing"),
        (lambda file: file.mkdir(), "missing"),
        (lambda file: file.write_bytes(b""), "no_ledger"),
        (lambda file: file.write_text("alerts: none\n" * 500), "no_ledger"),
        (other_database, "no_ledger"),
        (newer, "newer"),
        (older, "older"),
        (without_a_table, "older"),
        (garbled("{"), "unreadable"),
        (garbled("[]"), "unreadable"),
        (garbled('{"labels": {"a": 1}, "status": "firing", "starts_ns": 1}'), "unreadable"),
        (garbled('{"labels": {}, "status": "firing", "starts_ns": 1e300}'), "unreadable"),
        (garbled('{"labels": {}, "status": "firing", "starts_ns": 1, "more": 2}'), "unreadable"),
    ],
    ids=range(13),
)
def test_what_cant_be_read_says_why_and_stays_as_it_is(tmp_path: Path, make, why: str):
    file = tmp_path / "alerts.sqlite"
    make(file)
    before = sorted(os.listdir(tmp_path))

    with pytest.raises(LedgerUnreadable) as raised:
        look(file)

    assert raised.value.why == why
    assert sorted(os.listdir(tmp_path)) == before


def test_a_ledger_that_somebody_has_for_themselves_is_locked(tmp_path: Path):
    file = tmp_path / "alerts.sqlite"
    Ledger(file).close()
    _run(file, "PRAGMA journal_mode = DELETE")
    owner = sqlite3.connect(file, isolation_level=None)
    owner.execute("BEGIN EXCLUSIVE")

    with pytest.raises(LedgerUnreadable) as raised:
        look(file)

    owner.close()
    assert raised.value.why == "locked"
    assert look(file) == []


def test_alerts_of_a_window_are_told_by_their_begin(told: Router):
    assert alerts_in(told.file, Window(at(0), at(9))) == [
        (at(0), "Gateway504Ratio"),
        (at(5), "LLMRateLimited"),
    ]
    assert alerts_in(told.file, Window(at(9), at(10))) == [(at(9), "Slow")]


def test_an_incident_is_as_grave_as_its_gravest_alert(told: Router):
    def lasted(name: str, start_s: float, end_s: float) -> Incident:
        return replace(pool_incident(), id=name, window=Window(at(start_s), at(end_s)))

    incidents = [
        lasted("p0", -60, 1),
        lasted("p1", 2, 8),
        lasted("before its alert fired", -280, -270),
        lasted("long before", -900, -800),
        lasted("after", 20, 30),
    ]

    assert levels_of(told.file, incidents) == {
        "p0": "P0",
        "p1": "P1",
        "before its alert fired": "P0",
    }
    assert levels_of(None, incidents) == levels_of(told.file, []) == {}


def test_a_heartbeat_is_no_alert_of_a_window(router: Router):
    router.take(alert("Watchdog", "none"))

    assert alerts_in(router.file, Window(at(-10), at(10))) == []


def test_a_timeline_without_a_ledger_or_with_a_broken_one_has_no_alerts(tmp_path: Path):
    broken = tmp_path / "broken"
    broken.write_text("no ledger")

    assert alerts_in(None, Window(0, at(10))) == []
    assert alerts_in(tmp_path / "gone", Window(0, at(10))) == []
    assert alerts_in(broken, Window(0, at(10))) == []


def test_the_ledger_is_the_one_that_is_named_else_one_in_or_beside_the_store(tmp_path: Path):
    store = tmp_path / "store"
    store.mkdir()
    named = Settings(store=store, ledger=tmp_path / "named")

    assert ledger_of(named) == tmp_path / "named"
    assert ledger_of(Settings(store=store)) is None
    assert ledger_of(Settings()) is None
    (tmp_path / "alerts.sqlite").touch()
    assert ledger_of(Settings(store=store)) == tmp_path / "alerts.sqlite"
    (store / "alerts.sqlite").touch()
    assert ledger_of(Settings(store=store)) == store / "alerts.sqlite"
