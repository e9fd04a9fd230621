"""A service that hangs on connections of a library, explained from its telemetry alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.explained import Service, Stack, receiving

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(300)]
SERVICE = Service("queues")


@pytest.fixture(scope="module")
def stack(tmp_path_factory, postgres, valkey) -> Iterator[Stack]:
    env = {"DATABASE_URL": postgres.new_database(), "REDIS_PORT": str(valkey.port)}
    with receiving(tmp_path_factory.mktemp("store"), SERVICE, env) as stack:
        yield stack


@pytest.mark.parametrize(
    ("path", "pool", "function", "takes", "blocks"),
    [
        ("/engine", "pool main", "with_an_engine", "engine.connect", "httpx.get"),
        ("/asyncpg", "pool main", "with_asyncpg", "acquire()", "slow.get"),
        ("/psycopg", "pool orders", "with_psycopg", "connection()", "requests.get"),
    ],
)
def test_a_slow_call_with_a_connection_in_hand_is_that_call(
    stack, path, pool, function, takes, blocks
):
    finding = stack.hang([path] * 5, waits=3, waited_for="db.pool:")

    assert (finding["cause"], finding["mechanism"]) == ("D1", "pool")
    assert finding["site"] == SERVICE.at(blocks, function)
    chain = str(finding["chain"])
    assert f"waiting for a connection of {pool} (2 of 2 in use" in chain
    assert f"held by 2 x GET {path}" in chain
    assert f"taken at {SERVICE.at(takes, function)}" in chain
    assert "its client waits without a limit" in chain


def test_a_client_with_too_few_connections_waits_for_who_has_them(stack):
    finding = stack.hang(["/http"] * 5, waits=3, waited_for="http.pool:")

    assert (finding["cause"], finding["mechanism"]) == ("D1", "pool")
    assert finding["site"] == SERVICE.at("narrow.get", "with_few_connections")
    chain = str(finding["chain"])
    assert "waiting for a connection of the HTTP client of 127.0.0.1 (2 of 2 in use" in chain
    assert "held by 2 x GET /http" in chain


def test_a_command_that_waits_keeps_a_connection_of_redis(stack):
    finding = stack.hang(["/redis"] * 5, waits=3, waited_for="redis.pool:")

    assert (finding["cause"], finding["mechanism"]) == ("D1", "pool")
    assert finding["site"] == SERVICE.at("cache.blpop", "wait_for_work")
    assert "redis BLPOP localhost" in finding["sentence"]
    assert "a connection of the Redis client of localhost (2 of 2 in use" in str(finding["chain"])


def test_a_connection_of_redis_that_is_never_given_back_is_a_leak(stack):
    finding = stack.hang(["/redis-leak"] * 5, waits=3, waited_for="redis.pool:")

    assert (finding["cause"], finding["mechanism"]) == ("A1a", "pool")
    assert finding["site"] == SERVICE.at("get_connection", "keep_a_connection")


def test_a_broker_that_does_not_answer_is_told(stack):
    finding = stack.hang(["/broker"] * 3, waits=3, waited_for="connect rabbitmq")

    assert finding["cause"] == "F1"
    assert finding["site"] == SERVICE.at("aio_pika.connect", "publish")
