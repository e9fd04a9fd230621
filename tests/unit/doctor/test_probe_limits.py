"""What the probe reads of real clients' objects, and what it refuses."""

import groq
import httpx
import pika
import pytest
import redis
import redis.asyncio
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from why504.errors import ConfigError
from why504.probe.pools.limits import Limits
from why504.probe.safety import Guard

URL = "postgresql+psycopg://127.0.0.1:9/x"


def told(engines=None, **limits):
    rows = Limits(engines or {}, limits, Guard()).told()
    return [(row["kind"], row["name"], row["seconds"], row["attempts"]) for row in rows]


def test_seconds_and_no_limit_are_told_as_declared():
    assert told(application=55, llm=None, search=3.0) == [
        ("application", "", 55.0, 1),
        ("llm", "", None, 1),
        ("call", "search", 3.0, 1),
    ]


@pytest.mark.parametrize("value", ["15", -1, float("nan"), object(), True, [15]])
def test_a_limit_that_is_none_is_refused_when_the_application_is_wired(value):
    with pytest.raises(ConfigError, match=r"instrument\(limits=...\): limit 'llm'"):
        Limits({}, {"llm": value}, Guard())


def test_a_client_of_a_model_is_told_with_its_retries_and_their_pauses():
    client = groq.AsyncGroq(api_key="unset", timeout=15.0)
    (row,) = Limits({}, {"llm": client}, Guard()).told()

    assert (row["kind"], row["seconds"], row["attempts"]) == ("llm", 15.0, 3)
    assert row["pause_s"] == 0.5 + 1.0
    assert row["where"].startswith("groq")


def test_a_client_of_a_model_without_any_timeout_has_no_limit():
    assert told(llm=groq.Groq(api_key="unset", timeout=None, max_retries=0)) == [
        ("llm", "", None, 1)
    ]


def test_the_longest_silence_that_httpx_allows_is_told():
    with httpx.Client(timeout=httpx.Timeout(5, read=30)) as client:
        assert told(memory=client) == [("memory", "", 30.0, 1)]
    assert told(memory=httpx.Timeout(5, read=None)) == [("memory", "", None, 1)]
    assert told(memory=httpx.Timeout(5)) == [("memory", "", 5.0, 1)]


def test_pika_by_default_waits_for_ever_on_a_blocked_connection():
    assert told(broker=pika.ConnectionParameters()) == [
        ("broker", "connect", 15.0, 1),
        ("broker", "blocked by the broker", None, 1),
    ]


def test_all_attempts_of_pika_and_its_heartbeat_are_told():
    parameters = pika.ConnectionParameters(
        stack_timeout=3,
        blocked_connection_timeout=4,
        connection_attempts=5,
        retry_delay=2,
        heartbeat=30,
    )
    rows = Limits({}, {"broker": parameters}, Guard()).told()

    assert [(row["name"], row["seconds"], row["attempts"], row["pause_s"]) for row in rows] == [
        ("connect", 3.0, 5, 8.0),
        ("blocked by the broker", 4.0, 1, 0.0),
        ("", 30.0, 1, 0.0),
    ]


def test_a_heartbeat_that_is_switched_off_is_no_limit():
    parameters = pika.ConnectionParameters(heartbeat=0)

    assert ("heartbeat", "", None, 1) in told(broker=parameters)


@pytest.mark.parametrize("library", [redis, redis.asyncio])
def test_a_client_of_redis_is_told_with_its_retries(library):
    client = library.Redis(socket_timeout=2, socket_connect_timeout=1)

    ((kind, _, seconds, attempts),) = told(redis=client)
    assert (kind, seconds) == ("redis", 2.0)
    assert attempts == 1 + client.connection_pool.connection_kwargs["retry"].get_retries()


def test_a_client_of_redis_without_a_timeout_has_no_limit():
    ((_, _, seconds, _),) = told(redis=redis.Redis(socket_timeout=None))

    assert seconds is None


def test_a_pool_is_told_with_its_connections_sync_and_async():
    sync = create_engine(URL, pool_size=3, max_overflow=4, pool_timeout=7)
    both = {"main": sync, "jobs": create_async_engine(URL, pool_size=2, max_overflow=0)}
    rows = Limits(both, {}, Guard()).told()

    assert [(row["name"], row["seconds"], row["connections"]) for row in rows] == [
        ("main", 7.0, 7),
        ("jobs", 30.0, 2),
    ]


def test_a_pool_that_nobody_waits_for_has_no_rung():
    assert told({"main": create_engine(URL, poolclass=NullPool)}) == []


def test_an_engine_may_be_declared_by_a_name_of_its_own():
    assert told(reports=create_engine(URL, pool_timeout=9)) == [("pool", "reports", 9.0, 1)]


def test_limits_of_connections_are_read_from_the_url_before_the_first_one():
    options = "-c%20statement_timeout%3D10s%20-c%20lock_timeout%3D500"
    engine = create_engine(f"{URL}?options={options}", poolclass=NullPool)

    assert told({"main": engine}) == [("statement", "main", 10.0, 1), ("lock", "main", 0.5, 1)]
