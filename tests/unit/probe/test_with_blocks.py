"""Which `with` blocks a frame is in, and on what, is read from its bytecode: on any Python."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pytest

from why504.probe.locks import withblocks


class Shop:
    """Stands at a place in its code until it is let go."""

    __slots__ = ("books", "here", "ledger", "let_go", "locks", "made")

    def __init__(self) -> None:
        self.let_go, self.here = threading.Event(), threading.Event()
        self.ledger, self.books = threading.Lock(), threading.Lock()
        self.locks: defaultdict[str, Any] = defaultdict(threading.Lock, vn=threading.Lock())
        self.made = 0

    @property
    def asked(self) -> threading.Lock:
        self.made += 1
        return self.books

    def stand(self) -> None:
        self.here.set()
        self.let_go.wait(20)

    def nested(self) -> None:
        try:
            with self.ledger:
                for name in ("vn",):
                    with self.locks[name], self.books:
                        self.stand()
        finally:
            self.made += 1

    def after(self) -> None:
        with self.ledger:
            with suppress(ValueError):
                int("x")
            with self.books:
                pass
            self.stand()

    def left(self) -> None:
        with self.ledger:
            pass
        self.stand()

    def in_handler(self) -> None:
        with self.ledger:
            try:
                raise ValueError
            except ValueError:
                self.stand()

    def either(self, first: bool = True) -> None:
        with self.ledger if first else self.books:
            self.stand()

    def by_property(self) -> None:
        with self.asked:
            self.stand()

    def by_call(self) -> None:
        with suppress(ValueError):
            self.stand()


@contextmanager
def standing(work: Callable[[], None], here: threading.Event | None = None):
    """The frame of a function that runs in another thread, once it stands still."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    if here is not None:
        assert here.wait(20)
    yield thread


def frame_of(thread: threading.Thread, function: str) -> FrameType:
    frame: FrameType | None = sys._current_frames()[thread.ident or 0]
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back
    assert frame is not None
    return frame


@pytest.mark.parametrize(
    ("function", "written"),
    [
        ("nested", ["self.books", "self.locks[...]", "self.ledger"]),
        ("after", ["self.ledger"]),
        ("left", []),
        ("in_handler", ["self.ledger"]),
    ],
)
def test_the_open_blocks_of_a_frame_are_told_innermost_first(function, written):
    shop = Shop()
    with standing(getattr(shop, function), shop.here) as thread:
        found = list(withblocks.inside(frame_of(thread, function)))
        shop.let_go.set()
    assert [str(block.expression) for block, _ in found] == written
    values = {"self.books": shop.books, "self.locks[...]": shop.locks["vn"]}
    assert all(value is values.get(str(block.expression), shop.ledger) for block, value in found)


@pytest.mark.parametrize("function", ["either", "by_property", "by_call"])
def test_what_would_have_to_be_run_or_guessed_is_not_told(function):
    shop = Shop()
    with standing(getattr(shop, function), shop.here) as thread:
        made = shop.made
        assert list(withblocks.inside(frame_of(thread, function))) == []
        assert shop.made == made
        shop.let_go.set()


def test_looking_at_an_item_makes_none():
    locks: defaultdict[str, Any] = defaultdict(threading.Lock)
    here, go = threading.Event(), threading.Event()

    def gone() -> None:
        with locks["a"]:
            del locks["a"]
            here.set()
            go.wait(20)

    with standing(gone, here) as thread:
        assert list(withblocks.inside(frame_of(thread, "gone"))) == []
        assert not locks
        go.set()


@pytest.mark.parametrize("how", ["with", "acquire"])
def test_a_frame_that_stands_before_a_lock_says_which(how):
    lock = threading.Lock()

    def take() -> None:
        if how == "with":
            with lock:
                pass
        else:
            lock.acquire()
            lock.release()

    lock.acquire()
    with standing(take) as thread:
        found = None
        while found is None:
            found = withblocks.wanted(frame_of(thread, "take"))
        lock.release()
    assert (str(found[0]), found[1]) == ("lock", lock)


async def test_a_coroutine_says_the_same_where_it_is_suspended():
    lock, semaphore = asyncio.Lock(), asyncio.Semaphore(0)

    async def have() -> None:
        async with lock:
            await asyncio.sleep(60)

    async def want() -> None:
        async with lock:
            pass

    async def ask() -> None:
        await semaphore.acquire()

    tasks = [asyncio.create_task(work()) for work in (have, want, ask)]
    await asyncio.sleep(0.01)
    having, wanting, asking = (task.get_coro().cr_frame for task in tasks)
    assert [value for _, value in withblocks.inside(having)] == [lock]
    assert withblocks.wanted(having) is None
    assert list(withblocks.inside(wanting)) == []
    assert withblocks.wanted(wanting)[1] is lock
    assert str(withblocks.wanted(asking)[0]) == "semaphore"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
