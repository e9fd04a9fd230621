"""Which task runs in a thread is told right, whatever became of the loop that ran there before."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from why504.probe.running import task_in


def here():
    return task_in(threading.get_ident())


async def told():
    """Return what is told in a task, the second time too, and what is right."""
    return here(), here(), asyncio.current_task()


def test_each_of_the_loops_of_a_thread_has_its_own_task():
    for _ in range(3):
        first, again, right = asyncio.run(told())
        assert first is again is right
        assert here() is None


async def test_a_callback_that_no_task_runs_is_in_none():
    assert here() is asyncio.current_task()
    found = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: found.set_result(here()))
    assert await found is None


async def test_a_thread_without_a_loop_runs_no_task():
    assert here() is asyncio.current_task()
    assert await asyncio.to_thread(here) is None


def test_a_loop_that_moves_to_another_thread_is_found_there_and_no_longer_here():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(told())
    at_work, done = threading.Event(), threading.Event()

    async def elsewhere():
        found = here()
        at_work.set()
        assert done.wait(10)
        return found is asyncio.current_task()

    with ThreadPoolExecutor(1) as pool:
        moved = pool.submit(loop.run_until_complete, elsewhere())
        assert at_work.wait(10)
        mine = here()
        done.set()
        assert moved.result(10)
    loop.close()
    assert mine is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_child_forked_in_a_task_runs_none():
    assert here() is asyncio.current_task()
    child = os.fork()
    if child == 0:
        os._exit(0 if here() is None else 1)
    assert os.waitpid(child, 0)[1] == 0
