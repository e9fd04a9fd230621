from __future__ import annotations

import asyncio
import time

import pytest

from service.application.analyse_session import FALLBACK, AnalyseSession
from service.domain.conversation import Message, Speaker
from service.domain.friendship import SessionReading
from tests.unit.service.fakes.emotion_reader import FakeEmotionReader
from tests.unit.service.fakes.memory import FakeMemory

TRANSCRIPT = (Message(Speaker.USER, "hi"),)
JOY = SessionReading("joy", 1)


class SlowReader(FakeEmotionReader):
    """Answers after a second, whether it is cancelled or not."""

    stubborn = False
    cancelled = False

    async def read(self, transcript, memories=()):
        end_s = time.monotonic() + 1
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                await asyncio.sleep(left_s)
            except asyncio.CancelledError:
                self.cancelled = True
                if not self.stubborn:
                    raise
        return self.reading


class SilentMemory(FakeMemory):
    async def recall(self, user_id):
        await asyncio.Event().wait()
        return ()


async def test_a_session_is_read_with_what_is_remembered_of_its_user():
    seen = []

    class Reader(FakeEmotionReader):
        async def read(self, transcript, memories=()):
            seen.append((transcript, memories))
            return self.reading

    analyse = AnalyseSession(Reader(JOY), FakeMemory(["likes rain"]), None)

    assert await analyse("u1", TRANSCRIPT) == JOY
    assert seen == [(TRANSCRIPT, ["likes rain"])]


@pytest.mark.parametrize("stubborn", [False, True])
async def test_the_end_of_the_budget_gives_the_fallback_at_once(stubborn):
    reader = SlowReader(JOY)
    reader.stubborn = stubborn
    started_s = time.monotonic()

    reading = await AnalyseSession(reader, FakeMemory(), 0.05)("u1", TRANSCRIPT)

    assert reading == FALLBACK == SessionReading("neutral", 0, fallback=True)
    assert time.monotonic() - started_s < 0.5
    await asyncio.sleep(0)
    assert reader.cancelled
    if stubborn:
        await asyncio.sleep(1)


async def test_memory_and_reader_share_the_budget():
    started_s = time.monotonic()

    assert await AnalyseSession(FakeEmotionReader(JOY), SilentMemory(), 0.05)("u1", ()) == FALLBACK
    assert time.monotonic() - started_s < 0.5


async def test_whoever_gives_up_takes_the_reading_along():
    reader = SlowReader(JOY)
    call = asyncio.create_task(AnalyseSession(reader, FakeMemory(), None)("u1", TRANSCRIPT))
    await asyncio.sleep(0.05)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.sleep(0.01)

    assert reader.cancelled
