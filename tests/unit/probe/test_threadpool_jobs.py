"""The line that a thread is wanted for is the user's, whatever the framework wraps round it."""

from __future__ import annotations

from contextlib import contextmanager

import anyio.to_thread
import pytest
from anyio._backends._asyncio import CapacityLimiter
from fastapi.concurrency import contextmanager_in_threadpool
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool

from why504.probe.pools import threadpool


def users_work(*_given: object) -> int:
    return 1


def users_generator():
    yield 1


class UsersIterator:
    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration


async def plain() -> None:
    await run_in_threadpool(users_work, 1)


async def dependency() -> None:
    async with contextmanager_in_threadpool(contextmanager(users_generator)()):
        pass


async def streamed() -> None:
    async for _ in iterate_in_threadpool(users_generator()):
        pass


async def iterated() -> None:
    async for _ in iterate_in_threadpool(UsersIterator()):
        pass


async def straight() -> None:
    await anyio.to_thread.run_sync(users_work, 1)


@pytest.mark.parametrize(
    ("wanted", "function"),
    [
        (plain, "users_work"),
        (straight, "users_work"),
        (dependency, "users_generator"),
        (streamed, "users_generator"),
        (iterated, "UsersIterator.__next__"),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_a_thread_is_wanted_for_the_users_function(monkeypatch, wanted, function):
    jobs = []
    acquire = CapacityLimiter.acquire_on_behalf_of

    async def seen(this, borrower):
        jobs.append(threadpool._job())
        await acquire(this, borrower)

    monkeypatch.setattr(CapacityLimiter, "acquire_on_behalf_of", seen)
    anyio.run(wanted)

    assert {job.function for job in jobs} == {function}
    assert jobs[0].file == __file__
