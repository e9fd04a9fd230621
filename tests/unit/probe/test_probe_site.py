"""The user's line: in this thread, in a greenlet, in a suspended task, in another thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import sysconfig
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import greenlet
import pytest
import sqlalchemy
from starlette.responses import StreamingResponse

import why504
from why504 import names
from why504.probe import site, suspended

HERE = "tests/unit/probe/test_probe_site.py"


def line_of(mark: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


def told(line: site.CodeLine | None) -> tuple[object, ...]:
    found = site.attributes_of(line)
    return tuple(found.get(key) for key in (names.CODE_FILE, names.CODE_LINE, names.CODE_FUNCTION))


def test_the_line_of_the_caller_is_relative_to_the_working_directory():
    line = site.user_line(site.current_lines())  # direct

    name = "test_the_line_of_the_caller_is_relative_to_the_working_directory"
    assert told(line) == (HERE, line_of("direct"), name)


def test_a_line_behind_a_greenlet_is_found():
    switched: list[site.CodeLine] = []

    def in_library() -> None:
        switched.extend(site.current_lines())

    greenlet.greenlet(in_library).switch()  # switch

    lines = [one.line for one in switched if one.file == __file__]
    assert line_of("switch") in lines


async def test_the_innermost_await_of_a_suspended_task_is_found():
    async def inner() -> None:
        await asyncio.sleep(10)  # innermost

    async def outer() -> None:
        await inner()

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    lines = suspended.task_lines(task)
    task.cancel()

    assert told(site.user_line(lines))[:2] == (HERE, line_of("innermost"))
    assert len([one for one in lines if one.file == __file__]) == 2


def test_the_line_of_another_thread_is_found():
    release = threading.Event()

    def work() -> None:
        release.wait(10)  # other thread

    thread = threading.Thread(target=work)
    thread.start()
    while not any(
        one.line == line_of("other thread")
        for one in site.thread_lines(sys._current_frames().get(thread.ident))
    ):
        pass
    lines = site.thread_lines(sys._current_frames()[thread.ident])
    release.set()
    thread.join()

    assert told(site.user_line(lines))[:2] == (HERE, line_of("other thread"))


@pytest.mark.parametrize(
    "file",
    [
        os.path.join(sysconfig.get_paths()["stdlib"], "asyncio", "base_events.py"),
        sqlalchemy.__file__,
        os.path.join(os.path.dirname(why504.__file__), "probe", "pool.py"),
        "<frozen importlib._bootstrap>",
        "<string>",
    ],
)
def test_libraries_and_why504_are_not_the_users(file):
    assert site.is_user_file(file) is False


def test_an_application_carried_by_the_wheel_is_the_users():
    carried = os.path.join(os.path.dirname(why504.__file__), "_stack", "service", "main.py")

    assert site.is_user_file(carried) is True


def test_a_library_is_shown_relative_to_where_it_is_installed():
    assert site.display_path(sqlalchemy.__file__) == "sqlalchemy/__init__.py"


def test_a_stack_is_innermost_first_and_at_most_forty_lines():
    lines = [site.CodeLine(__file__, n, "f") for n in range(1, 100)]

    text = site.stack_text(lines).splitlines()

    assert text[0] == f'File "{HERE}", line 1, in f'
    assert len(text) == 40


async def leaf() -> None:
    await asyncio.sleep(10)  # a leaf


async def gathers() -> None:
    await asyncio.gather(asyncio.sleep(0), leaf())  # gathers


async def groups() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(leaf())


async def groups_of_anyio() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(leaf)


async def awaits_a_task() -> None:
    await asyncio.create_task(leaf())


async def waits() -> None:
    await asyncio.wait([asyncio.create_task(leaf())])


async def has_a_limit() -> None:
    await asyncio.wait_for(leaf(), 100)


async def shields() -> None:
    await asyncio.shield(asyncio.create_task(leaf()))


async def shields_with_a_limit() -> None:
    await asyncio.wait_for(asyncio.shield(asyncio.gather(leaf())), 100)


async def gathers_deeper() -> None:
    await asyncio.gather(gathers(), groups())


@pytest.mark.parametrize(
    "waits_for",
    [
        *(gathers, groups, groups_of_anyio, awaits_a_task, waits, has_a_limit),
        *(shields, shields_with_a_limit, gathers_deeper),
    ],
)
async def test_a_task_that_waits_for_others_shows_what_the_first_of_them_waits_for(waits_for):
    task = asyncio.create_task(waits_for())
    for _ in range(5):
        await asyncio.sleep(0)
    lines = suspended.task_lines(task)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    assert told(site.user_line(lines)) == (HERE, line_of("a leaf"), "leaf")
    assert waits_for.__name__ in {line.function for line in lines}, "and who waits for it"


async def test_a_task_in_an_async_generator_shows_the_line_in_it():
    async def numbers() -> AsyncIterator[int]:
        await asyncio.sleep(10)  # in the generator
        yield 1

    async def consume() -> None:
        async for _ in numbers():
            pass

    task = asyncio.create_task(consume())
    await asyncio.sleep(0)
    lines = suspended.task_lines(task)
    task.cancel()

    assert told(site.user_line(lines))[:2] == (HERE, line_of("in the generator"))


async def waits_in_a_task(work) -> list[site.CodeLine]:
    task = asyncio.create_task(work())
    for _ in range(8):
        await asyncio.sleep(0)
    lines = suspended.task_lines(task)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return lines


async def test_a_streamed_response_that_listens_for_its_client_shows_the_line_of_its_generator():
    async def pieces() -> AsyncIterator[bytes]:
        await asyncio.sleep(10)  # of a stream
        yield b""

    async def sent(_: object) -> None:
        """Take it."""

    async def respond() -> None:
        await StreamingResponse(pieces())({"type": "http"}, asyncio.Event().wait, sent)

    lines = await waits_in_a_task(respond)

    assert told(site.user_line(lines))[:2] == (HERE, line_of("of a stream"))


@pytest.mark.parametrize("group", [asyncio.TaskGroup, anyio.create_task_group])
async def test_a_line_of_the_users_inside_a_group_counts_more_than_what_runs_beside_it(group):
    async def respond() -> None:
        async with group() as tasks:
            start = getattr(tasks, "start_soon", None)
            start(leaf) if start else tasks.create_task(leaf())
            await asyncio.sleep(10)  # beside the group

    lines = await waits_in_a_task(respond)

    assert told(site.user_line(lines))[:2] == (HERE, line_of("beside the group"))


async def test_of_several_tasks_the_one_with_a_line_of_the_users_is_shown():
    lines = await waits_in_a_task(lambda: gathered(asyncio.Event().wait(), leaf()))

    assert told(site.user_line(lines))[:2] == (HERE, line_of("a leaf"))


async def gathered(*work) -> None:
    await asyncio.gather(*work)
