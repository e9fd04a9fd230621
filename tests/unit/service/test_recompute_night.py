from __future__ import annotations

import asyncio
import time
from datetime import UTC, date, datetime

import pytest

from service.application.analyse_session import AnalyseSession
from service.application.errors import StoreUnavailable
from service.application.ports.nightly_log import NightlyRun
from service.application.recompute_night import PAGE, NightlyPace, RecomputeNight
from service.application.update_score import UpdateScore
from service.domain.conversation import Message, Speaker, StoredEvent
from service.domain.friendship import FriendshipStatus, LedgerEntry, SessionReading
from tests.unit.service.fakes.emotion_reader import FakeEmotionReader
from tests.unit.service.fakes.memory import FakeMemory
from tests.unit.service.fakes.unit_of_work import FakeDatabase

NIGHT = date(2026, 11, 23)
AT = datetime(2026, 1, 1, tzinfo=UTC)
JOY = SessionReading("joy", 2)


def stored(number: int, text: str = "music") -> tuple[StoredEvent, tuple[Message, ...]]:
    event = StoredEvent(number, f"c{number}", f"c{number}", f"u{number:03d}", "0" * 64, AT)
    return event, (Message(Speaker.USER, text),)


class BrokenAt(FakeEmotionReader):
    """Fails on purpose where a session says so; a store is away once only."""

    away = True

    async def read(self, transcript, memories=()):
        if "break" in transcript[0].text:
            raise RuntimeError("a message nobody may see")
        if "away" in transcript[0].text and self.away:
            self.away = False
            raise StoreUnavailable
        return await super().read(transcript, memories)


class Night:
    """The job on a database in memory, and what it told."""

    def __init__(self, database: FakeDatabase, **pace: float) -> None:
        self.database, self.stop = database, asyncio.Event()
        self.failures: list[Exception] = []
        self.progress: list[NightlyRun] = []
        memory = FakeMemory()
        analyse = AnalyseSession(BrokenAt(JOY), memory, 5.0)
        self.job = RecomputeNight(
            database.begin_work,
            UpdateScore(database.begin_work, analyse, memory),
            pace=NightlyPace(
                most_users=int(pace.get("most_users", 10_000)),
                # One at a time: transactions in memory don't lock each other out.
                concurrency=1,
                users_per_s=pace.get("users_per_s", 1e6),
            ),
            on_progress=self.progress.append,
            on_failure=self.failures.append,
        )

    async def __call__(self) -> NightlyRun:
        return await self.job(NIGHT, self.stop)


async def test_what_is_unread_is_read_and_what_is_wrong_is_put_right():
    good = LedgerEntry("c1", "u001", 5.0, "work", "joy", 0, fallback=False)
    left = LedgerEntry("c2", "u002", 0.0, "music", "neutral", 0, fallback=True)
    database = FakeDatabase(
        events=[stored(1), stored(2), stored(3)],
        ledger={"c1": good, "c2": left},
        statuses={"u001": FriendshipStatus("u001", 777.0, {"x": 1})},
    )

    run = await Night(database)()

    assert run == NightlyRun(NIGHT, 3, "u003", users_done=3, finished=True)
    assert database.statuses == {
        "u001": FriendshipStatus("u001", 5.0, {"work": 1}),
        "u002": FriendshipStatus("u002", 13.5, {"music": 1}),
        "u003": FriendshipStatus("u003", 13.5, {"music": 1}),
    }


async def test_a_user_that_fails_is_counted_and_ends_nothing():
    night = Night(FakeDatabase(events=[stored(1), stored(2, "break"), stored(3)]))

    run = await night()

    assert (run.users_done, run.users_failed, run.finished) == (3, 1, True)
    assert [type(error) for error in night.failures] == [RuntimeError]
    assert set(night.database.ledger) == {"c1", "c3"}


async def test_a_store_that_goes_away_costs_no_user_the_night():
    night = Night(FakeDatabase(events=[stored(1), stored(2, "away"), stored(3)]))

    with pytest.raises(StoreUnavailable):
        await night()
    run = await night()

    assert (run.users_done, run.users_failed, run.finished) == (3, 0, True)
    assert sorted(night.database.ledger) == ["c1", "c2", "c3"]
    assert night.failures == []


async def test_a_night_has_no_more_users_than_it_may_and_a_second_start_adds_none():
    database = FakeDatabase(events=[stored(number) for number in range(PAGE + 30)])

    first = await Night(database, most_users=PAGE + 5)()
    again = await Night(database, most_users=PAGE + 5)()

    assert first == again
    assert first.users_done == first.users_total == len(database.ledger) == PAGE + 5


async def test_a_stopped_job_is_noted_where_it_was_and_goes_on_there():
    database = FakeDatabase(events=[stored(number) for number in range(10)])
    night = Night(database, users_per_s=50)
    asyncio.get_running_loop().call_later(0.07, night.stop.set)

    left = await night()
    scored = len(database.ledger)
    done = await Night(database)()

    assert not left.finished
    assert 0 < left.users_done == scored < 10
    assert (done.users_done, done.finished, len(database.ledger)) == (10, True, 10)


async def test_the_job_keeps_to_its_rate():
    database = FakeDatabase(events=[stored(number) for number in range(10)])
    started_s = time.monotonic()

    await Night(database, users_per_s=50)()

    assert time.monotonic() - started_s >= 9 / 50
