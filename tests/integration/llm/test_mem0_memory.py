"""The real Mem0 SDK and the stand-in, one a test: what it remembers is its state."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from service.application.settings import Settings
from service.domain.conversation import Message, Speaker
from service.infrastructure.memory.mem0_memory import NoMemory, make_memory

LOG = (
    Message(Speaker.USER, "I love my sister Mai, ann@example.org."),
    Message(Speaker.COMPANION, "Lovely."),
)


@asynccontextmanager
async def remembering(url: str, **settings: object):
    registry = CollectorRegistry()
    given = {"mem0_base_url": url, "mem0_api_key": "m0-key", "time_scale": 0.1, **settings}
    memory = make_memory(Settings(**given), registry)
    try:
        yield memory, registry
    finally:
        await memory.aclose()


@pytest.fixture(scope="session", autouse=True)
def imported():
    """Import the SDK once, so that its three seconds are in no test's figures."""
    import warnings

    os.environ["MEM0_TELEMETRY"] = "False"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mem0  # noqa: F401


async def test_what_was_remembered_redacted_is_recalled_for_its_user_alone(mem0_standin, spans):
    async with remembering(mem0_standin.url) as (memory, registry):
        assert await memory.recall("u1") == ()
        await memory.remember("u1", LOG)
        assert await memory.recall("u1") == ("I love my sister Mai, [email].",)
        assert await memory.recall("u2") == ()

    assert registry.get_sample_value("memory_failures_total", {"operation": "add"}) == 0
    assert "/v1/ping/" not in mem0_standin.seen()["asked"]
    told = [(span.name, span.attributes["server.port"]) for span in spans.get_finished_spans()]
    assert told == [
        (f"mem0 {op}", mem0_standin.port) for op in ("search", "add", "search", "search")
    ]
    assert not any("Mai" in span.to_json() for span in spans.get_finished_spans())


@pytest.mark.parametrize("behaviour", [{"hang": True}, {"status": 500}, {"status": 401}])
async def test_a_memory_that_is_away_recalls_nothing_and_is_left_alone_after_five_failures(
    mem0_standin, behaviour
):
    mem0_standin.behave(**behaviour)
    async with remembering(mem0_standin.url) as (memory, registry):
        await memory.recall("u1")
        started_s = time.monotonic()
        for _ in range(6):
            assert await memory.recall("u1") == ()
            await memory.remember("u1", LOG)
        took_s = time.monotonic() - started_s

    assert took_s < 3.5
    assert sum(mem0_standin.seen()["asked"].values()) == 5
    assert registry.get_sample_value("memory_breaker_state", {"provider": "mem0"}) == 2
    assert registry.get_sample_value("memory_failures_total", {"operation": "add"}) == 6


async def test_a_memory_that_is_gone_is_no_error(mem0_standin):
    mem0_standin.stop()
    async with remembering(mem0_standin.url) as (memory, _):
        assert await memory.recall("u1") == ()


async def test_it_comes_back_by_one_probe(mem0_standin):
    mem0_standin.behave(status=500)
    async with remembering(mem0_standin.url, breaker_open_s=1) as (memory, _):
        for _ in range(6):
            await memory.remember("u1", LOG)
        mem0_standin.behave(status=None)
        await asyncio.sleep(0.11)
        await memory.remember("u1", LOG)
        assert len(await memory.recall("u1")) == 1


async def test_a_cancelled_call_is_raised_and_opens_nothing(mem0_standin):
    mem0_standin.behave(hang=True)
    async with remembering(mem0_standin.url, time_scale=10) as (memory, registry):
        for _ in range(8):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await memory.recall("u1")

    assert registry.get_sample_value("memory_breaker_state", {"provider": "mem0"}) == 0


def test_without_a_key_there_is_no_memory():
    assert isinstance(make_memory(Settings(), CollectorRegistry()), NoMemory)


ON_A_FRESH_PROCESS = """
import asyncio, os, socket, sys, time
from prometheus_client import CollectorRegistry
from service.application.settings import Settings
from service.domain.conversation import Message, Speaker
from service.infrastructure.memory.mem0_memory import make_memory

calls = []
connect = socket.socket.connect
def watched(self, address):
    calls.append(address)
    return connect(self, address)
socket.socket.connect = watched

async def main():
    lag_s = 0.0
    async def tick():
        nonlocal lag_s
        while True:
            began_s = time.monotonic()
            await asyncio.sleep(0.01)
            lag_s = max(lag_s, time.monotonic() - began_s - 0.01)
    ticking = asyncio.create_task(tick())
    began_s = time.monotonic()
    settings = Settings(mem0_base_url=sys.argv[1], mem0_api_key="m0-x")
    memory = make_memory(settings, CollectorRegistry())
    assert time.monotonic() - began_s < 0.1 and "mem0" not in sys.modules
    for _ in range(10):
        await memory.remember("u1", [Message(Speaker.USER, "I like tea.")])
        recalled = await memory.recall("u1")
    await memory.aclose()
    ticking.cancel()
    import mem0.memory.telemetry as telemetry
    assert telemetry.client_telemetry.posthog is None
    print(round(lag_s, 3))
    print(recalled[:1])
    print({address[1] for address in calls if address[0] != "127.0.0.1"} or "nobody else")

asyncio.run(main())
"""


def test_the_sdk_is_imported_late_in_a_thread_and_tells_nobody(mem0_standin, tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MEM0")}
    home = {"HOME": str(tmp_path), "PYTHONPATH": "src:."}
    ran = subprocess.run(
        [sys.executable, "-c", ON_A_FRESH_PROCESS, mem0_standin.url],
        env=env | home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    lag_s, recalled, others = ran.stdout.split("\n")[:3]
    assert recalled == "('I like tea.',)"
    assert others == "nobody else"
    assert float(lag_s) < 2
    assert not (tmp_path / ".mem0").exists()
