"""What a program calls first begins the watch, and stays a function of the kind that it was."""

from __future__ import annotations

import asyncio
import inspect
from types import ModuleType
from unittest import mock

import pytest

from why504.probe.begin import wiring
from why504.probe.begin.places import Place


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module whose functions begin the watch, which puts others in their place, once."""
    module = ModuleType("client")
    left = [True]

    async def send(word: str) -> str:
        return word

    async def send_watched(word: str) -> str:
        return f"{word}, watched"

    def connect(word: str) -> str:
        return word

    def begins() -> bool:
        module.__dict__["send"] = send_watched
        return left.pop() if left else False

    module.__dict__.update(send=send, connect=connect)
    monkeypatch.setattr(wiring, "_watch_program", begins)
    program = wiring.Program()
    for name in ("send", "connect"):
        wiring._replace(module, Place("client", name), program.working)
    return module


def test_a_coroutine_function_stays_one_for_whoever_replaces_it_in_tests(client):
    assert inspect.iscoroutinefunction(client.send)
    assert not inspect.iscoroutinefunction(client.connect)
    with mock.patch.object(client, "send") as replaced:
        assert isinstance(replaced, mock.AsyncMock)


def test_the_first_call_is_watched_already(client):
    first = client.send

    assert asyncio.run(first("first")) == "first, watched"
    assert client.connect("second") == "second"
