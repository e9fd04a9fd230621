"""redis-py on a real Valkey: commands, pools that block, in threads and in tasks."""

from __future__ import annotations

import asyncio
import threading

import pytest
import redis
import redis.asyncio

from tests.lines import HERE
from why504 import names

line_of = HERE(__file__)


def test_commands_have_one_span_each_without_keys_or_values(told, valkey):
    client = redis.Redis(host="127.0.0.1", port=valkey.port, socket_timeout=3, db=1)
    with client, told.request():
        client.set("key-4711", "hunter2")
        client.get("key-4711")
        with client.pipeline() as pipeline:
            pipeline.get("key-4711").get("key-4711").execute()
        with pytest.raises(redis.ResponseError):
            client.lpush("key-4711", "hunter2")

    calls = told.spans("SET", "GET", "PIPELINE", "LPUSH")
    assert [call.name for call in calls] == ["SET", "GET", "PIPELINE", "LPUSH"]
    assert {call.attributes[names.DB_SYSTEM] for call in calls} == {"redis"}
    assert {call.attributes[names.DB_NAMESPACE] for call in calls} == {"1"}
    assert {call.attributes[names.SERVER_PORT] for call in calls} == {valkey.port}
    assert {call.attributes[names.CLIENT_TIMEOUT_S] for call in calls} == {3.0}
    assert calls[-1].attributes[names.ERROR_TYPE] == "ResponseError"
    assert "4711" not in str([span.attributes for span in told.spans()])
    assert "hunter2" not in str([span.attributes for span in told.spans()])


async def test_tasks_tell_the_same_and_that_they_have_no_limit(told, valkey):
    async with redis.asyncio.Redis(port=valkey.port, socket_timeout=None) as client:
        with told.request():
            await client.set("a", 1)
            async with client.pipeline() as pipeline:
                await pipeline.get("a").execute()

    calls = told.spans("SET", "PIPELINE")
    assert [call.name for call in calls] == ["SET", "PIPELINE"]
    assert {call.attributes[names.CLIENT_UNLIMITED] for call in calls} == {True}


def test_a_thread_that_waits_for_a_connection_waits_inside_its_command(told, valkey):
    pool = redis.BlockingConnectionPool(port=valkey.port, max_connections=1, timeout=20)
    client = redis.Redis(connection_pool=pool)
    client.ping()
    asks = threading.Event()

    def ask() -> None:
        asks.set()
        with told.request("waiter"):
            client.get("a")  # waiter

    with told.request("holder"):
        taken = pool.get_connection()  # holder
        waiter = threading.Thread(target=ask)
        waiter.start()
        asks.wait()
        for _ in range(500):
            if told.probe.book.of_kind(names.WAIT):
                break
            threading.Event().wait(0.01)
        threading.Event().wait(0.05)
        pool.release(taken)
        waiter.join()
    pool.disconnect()

    (wait,), (hold,) = told.finals(names.WAIT), told.finals(names.HOLD)
    (command,) = told.spans("GET")
    assert wait.attributes[names.RESOURCE] == "redis.pool:localhost"
    assert wait.parent_id == command.context.span_id
    assert wait.attributes[names.CODE_LINE] == line_of("waiter")
    assert hold.attributes[names.CODE_LINE] == line_of("holder")


async def test_a_task_that_waits_too_long_says_so_and_leaves_nothing_behind(told, valkey):
    pool = redis.asyncio.BlockingConnectionPool(port=valkey.port, max_connections=1, timeout=0.05)
    client = redis.asyncio.Redis(connection_pool=pool)
    with told.request():
        taken = await pool.get_connection()
        with pytest.raises(redis.ConnectionError):
            await client.get("a")
        await pool.release(taken)
        pool.timeout = 20
        await asyncio.gather(client.get("a"), client.get("b"))
    await client.aclose()
    await pool.disconnect()

    outcomes = [wait.attributes[names.OUTCOME] for wait in told.finals(names.WAIT)]
    assert outcomes[0] == "timeout"
    assert set(outcomes[1:]) <= {"acquired"}  # too short a wait is none
    assert told.probe.book.open_records == {}


def test_a_server_that_is_gone_is_no_wait(told, free_port):
    pool = redis.BlockingConnectionPool(port=free_port, max_connections=1, timeout=1)
    with told.request(), pytest.raises(redis.ConnectionError):
        redis.Redis(connection_pool=pool, retry=None).get("a")

    assert told.finals(names.WAIT) == []
    assert told.probe.book.open_records == {}
