"""Deep health while what it looks at is frozen for real."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

if TYPE_CHECKING:
    from lab.stack.postgres import Postgres
    from lab.stack.rabbitmq import RabbitMQ
    from lab.stack.valkey import Valkey

pytestmark = pytest.mark.postgres

LIMITS = {"timeouts": {"health_s": 0.3, "broker_s": 0.3}, "health_every_s": 0.2}


@contextmanager
def frozen(server: object):
    server.freeze()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        server.thaw()  # type: ignore[attr-defined]


async def told(client: httpx.AsyncClient, status: str) -> httpx.Response:
    """Return the first answer with this status; each must come at once."""
    for _ in range(200):
        began_s = time.monotonic()
        answer = await client.get("/v1/health")
        assert time.monotonic() - began_s < 1
        if answer.json()["status"] == status:
            return answer
        await asyncio.sleep(0.05)
    pytest.fail(f"health never said {status}: {answer.json()}")


def failed(answer: httpx.Response) -> set[str]:
    return {name for name, check in answer.json()["checks"].items() if not check["ok"]}


async def test_a_frozen_postgresql_fails_health_within_its_limit_and_recovers(
    running, postgres: Postgres
):
    async with running(**LIMITS) as client:
        await told(client, "ok")
        with frozen(postgres.process):
            answer = await told(client, "failing")
            live = await client.get("/v1/livez")
        await told(client, "ok")

    assert (answer.status_code, failed(answer)) == (503, {"postgresql"})
    assert live.status_code == 200


async def test_a_hundred_probes_of_a_frozen_postgresql_open_one_connection(
    running, postgres: Postgres, database_url
):
    async with running(**LIMITS) as client:
        await told(client, "ok")
        with frozen(postgres.process):
            for _ in range(5):
                await asyncio.gather(*(client.get("/v1/health") for _ in range(100)))
                await asyncio.sleep(0.2)
        await told(client, "ok")

    # A server that was just thawed greets those who went away meanwhile before it sees that.
    for _ in range(200):
        if len(left := connections(database_url)) <= 1:
            break
        await asyncio.sleep(0.1)
    assert len(left) <= 1, left


def connections(database_url) -> list[tuple[object, ...]]:
    """Return what the server knows of each connection of the health check."""
    with psycopg.connect(database_url) as beside:
        return beside.execute(
            "SELECT pid, state, wait_event, now() - backend_start, now() - state_change, query "
            "FROM pg_stat_activity WHERE application_name = 'context-handling-health'"
        ).fetchall()


async def test_without_redis_and_rabbitmq_the_service_is_degraded_and_serves(
    running, valkey: Valkey, rabbitmq: RabbitMQ
):
    async with running(redis_url=valkey.url, broker_url=rabbitmq.url, **LIMITS) as client:
        well = await told(client, "ok")
        threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
        with frozen(valkey), frozen(rabbitmq):
            await told(client, "degraded")
            await asyncio.sleep(2)
            answer = await told(client, "degraded")
            served = await client.post("/v1/activities/suggest", json={"user_id": "u1"})
            more_threads = threading.active_count() - threads
            more_files = len(os.listdir("/proc/self/fd")) - files
        await told(client, "ok")

    assert set(well.json()["checks"]) == {"postgresql", "redis", "rabbitmq"}
    assert (answer.status_code, failed(answer)) == (200, {"redis", "rabbitmq"})
    assert served.status_code == 200
    assert more_threads <= 1
    assert more_files <= 8  # six, and what carries the spans
