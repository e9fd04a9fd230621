"""A room and a router for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from router_process import Chat, Router, chat


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Chat]:
    """A room of Google Chat's stand-in."""
    with chat(tmp_path) as one:
        yield one


@pytest.fixture
def router(tmp_path: Path, room: Chat) -> Iterator[Router]:
    """A router that tells that room."""
    one = Router(tmp_path, room)
    one.start()
    yield one
    one.kill()
