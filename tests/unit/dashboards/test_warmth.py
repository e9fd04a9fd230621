"""What is done before the first visitor comes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import streamlit as st

import why504.diagnose
from dashboards import evidence, windows
from dashboards.warmth import THREAD, read_ahead, warmed
from tests.unit.dashboards import explorer_examples as told
from why504.errors import StoreUnavailable
from why504.model import Evidence, Window


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sys.argv", ["explorer.py", "--store", str(tmp_path)])
    return tmp_path


def read() -> None:
    """Return once nothing is being read ahead."""
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(30)


def start() -> None:
    """Start and end as a server does; returns once the store was read, or could not be."""

    async def course() -> None:
        async with warmed(None):
            await asyncio.to_thread(read)

    asyncio.run(course())


def test_the_first_visitor_finds_the_store_read(store: Path, monkeypatch: pytest.MonkeyPatch):
    class Counted(told.MemoryStore):
        readings = 0

        def extent(self) -> Window | None:
            self.readings += 1
            return super().extent()

    counted = Counted()
    monkeypatch.setattr(evidence, "store_in", lambda _: counted)
    start()
    assert counted.readings == 1

    assert evidence.incidents(store) == []
    assert counted.readings == 1


def test_a_store_that_cant_be_read_does_not_keep_the_explorer_from_starting(
    store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    class Broken(told.MemoryStore):
        def extent(self) -> Window | None:
            raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(evidence, "store_in", lambda _: Broken())

    start()

    assert "the disk is gone" in caplog.text


def test_without_a_store_there_is_nothing_to_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("sys.argv", ["explorer.py"])
    monkeypatch.delenv("WHY504_STORE", raising=False)

    start()

    assert not caplog.text


def test_the_evidence_of_the_incident_that_a_visitor_comes_for_is_read_ahead(
    store: Path, monkeypatch: pytest.MonkeyPatch
):
    class Watched(told.MemoryStore):
        windows: ClassVar[list[Window]] = []

        def sample(self, window: Window, *, slower_than_s: float | None = None) -> Evidence:
            self.windows.append(window)
            return super().sample(window)

    pool, loop = told.pool_incident(), told.loop_incident()
    monkeypatch.setattr(evidence, "store_in", lambda _: Watched())
    monkeypatch.setattr(why504.diagnose, "explain", lambda _: [pool, loop])
    start()
    assert Watched.windows[1:] == [windows.around(loop.window)]

    read_ahead(pool.id)
    read()
    assert Watched.windows[2:] == [windows.around(pool.window)]

    evidence.around(store, pool)
    assert len(Watched.windows) == 3


def test_one_thing_is_read_ahead_at_a_time(store: Path, monkeypatch: pytest.MonkeyPatch):
    held, readings = threading.Event(), []

    class Slow(told.MemoryStore):
        def extent(self) -> Window | None:
            readings.append(threading.current_thread())
            assert held.wait(30)
            return None

    monkeypatch.setattr(evidence, "store_in", lambda _: Slow())
    for _ in range(20):
        read_ahead("")
    ahead = [thread for thread in threading.enumerate() if thread.name == THREAD]
    held.set()
    read()

    assert len(ahead) == len(readings) == 1
