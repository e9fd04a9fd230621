"""Spans of statements and of the broker: what the request waits for outside the process."""

from __future__ import annotations

import asyncio
import socket
import time

import httpx
import pika
import pytest
from fastapi import FastAPI
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

import why504
from why504 import names
from why504.probe.clients.database import describe


@pytest.fixture
def url(postgres) -> str:
    return postgres.new_database().replace("postgresql://", "postgresql+psycopg://", 1)


def statements(collector) -> list:
    return [s for s in collector.spans if names.DB_QUERY in s.attributes]


@pytest.mark.postgres
def test_a_statement_is_a_client_span_without_its_values(url, collector, settings):
    engine = create_engine(url)
    probe = why504.instrument(FastAPI(), engine=engine, settings=settings)
    try:
        with engine.begin() as connection:
            connection.execute(text("create table friendship_status (user_id text)"))
            connection.execute(
                text("insert into friendship_status values (:user)"), {"user": "secret-4711"}
            )
        probe.flush()
    finally:
        probe.shutdown()
        engine.dispose()

    insert = next(s for s in statements(collector) if s.name.startswith("INSERT"))
    assert insert.name == "INSERT friendship_status"
    assert insert.kind == 3
    assert insert.attributes[names.DB_SYSTEM] == "postgresql"
    assert insert.attributes[names.DB_OPERATION] == "INSERT"
    assert insert.attributes[names.SERVER_ADDRESS] == "127.0.0.1"
    assert insert.attributes[names.DB_NAMESPACE] in url
    assert "secret-4711" not in str(collector.spans)
    assert "connect" in {s.name.split()[0] for s in collector.spans}


@pytest.mark.postgres
def test_a_statement_that_fails_ends_its_span_with_the_error(url, collector, settings):
    engine = create_engine(url)
    probe = why504.instrument(FastAPI(), engine=engine, settings=settings)
    try:
        with engine.connect() as connection, pytest.raises(ProgrammingError):
            connection.execute(text("select * from nowhere"))
        probe.flush()
    finally:
        probe.shutdown()
        engine.dispose()

    (failed,) = [s for s in statements(collector) if s.name == "SELECT nowhere"]
    assert failed.status == 2
    assert failed.attributes[names.ERROR_TYPE] == "UndefinedTable"


UNSAMPLED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}


@pytest.mark.postgres
def test_of_a_request_that_is_not_sampled_only_the_long_statement_is_told(
    url, collector, settings, serving
):
    app, engine = FastAPI(), create_async_engine(url)

    @app.get("/report")
    async def report() -> str:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
            await connection.execute(text("select pg_sleep(:s)"), {"s": 0.9})
        return "ok"

    probe = why504.instrument(app, engine=engine, settings=settings)
    try:
        with serving(app) as base:
            assert httpx.get(f"{base}/report", headers=UNSAMPLED).status_code == 200
        probe.flush()
    finally:
        probe.shutdown()

    (statement,) = [s for s in statements(collector) if names.KIND not in s.attributes]
    (server,) = collector.servers()
    assert (statement.kind, statement.parent_id) == (3, server.span_id)
    assert "pg_sleep" in statement.attributes[names.DB_QUERY]
    assert "0.9" not in statement.attributes[names.DB_QUERY]
    assert statement.attributes[names.SERVER_ADDRESS] == "127.0.0.1"
    assert statement.attributes[names.CODE_FILE] == "tests/integration/probe/test_probe_clients.py"
    assert 0.8 < statement.seconds < 10


@pytest.mark.postgres
async def test_a_hanging_async_statement_is_told_with_the_callers_line(url, collector, settings):
    engine = create_async_engine(url)
    probe = why504.instrument(FastAPI(), engine=engine, settings=settings)
    probe.start()
    try:
        async with engine.connect() as connection:
            await connection.execute(text("select pg_sleep(0.8)"))
        await asyncio.to_thread(probe.flush)
    finally:
        probe.shutdown()
        await engine.dispose()

    told = [s for s in collector.of_kind(names.SNAPSHOT) if s.name == "snapshot SELECT"]
    assert told[0].attributes[names.DB_QUERY] == "select pg_sleep(?)"
    assert (
        told[0]
        .attributes[names.CODE_FUNCTION]
        .endswith("test_a_hanging_async_statement_is_told_with_the_callers_line")
    )


def test_a_broker_that_never_answers_is_a_span_told_while_it_hangs(collector, settings):
    probe = why504.instrument(FastAPI(), settings=settings)
    probe.start()
    try:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            port = mute.getsockname()[1]
            parameters = pika.ConnectionParameters(
                "127.0.0.1", port, socket_timeout=1, stack_timeout=1, blocked_connection_timeout=1
            )
            with pytest.raises(AMQPConnectorException):
                pika.BlockingConnection(parameters)
        probe.flush()
    finally:
        probe.shutdown()

    (told, *_) = [s for s in collector.of_kind(names.SNAPSHOT)]
    (final,) = [s for s in collector.spans if s.name == "connect rabbitmq"]
    assert told.name == "snapshot connect rabbitmq"
    assert told.attributes[names.CODE_FILE].endswith("test_probe_clients.py")
    assert told.parent_id == final.span_id
    assert (final.kind, final.status) == (3, 2)
    assert final.attributes[names.SERVER_PORT] == port
    assert final.attributes[names.MESSAGING_SYSTEM] == "rabbitmq"


def test_shutdown_gives_pika_its_own_methods_back(settings):
    before = pika.BlockingConnection.__init__
    probe = why504.instrument(FastAPI(), settings=settings)
    probe.start()
    assert pika.BlockingConnection.__init__ is not before

    probe.shutdown()

    assert pika.BlockingConnection.__init__ is before


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("SELECT a, b FROM friendship_status WHERE x = %(x)s", "SELECT friendship_status"),
        ('select * from "prompt_template" p', "SELECT prompt_template"),
        ("  -- note\n /* x */ INSERT INTO app.events (a) VALUES (%s)", "INSERT app.events"),
        ("UPDATE ONLY t SET a = 1", "UPDATE t"),
        ("delete from t where 1=1", "DELETE t"),
        ("SELECT 1", "SELECT"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "WITH"),
        ("", "SQL"),
        ("(select 1)", "SQL"),
        ("/* never closed", "SQL"),
    ],
)
def test_a_statement_is_named_by_operation_and_table(statement, name):
    assert describe(statement)[0] == name


def test_naming_a_hostile_statement_takes_no_time():
    began = time.monotonic()
    describe("/*" * 50_000)
    describe("SELECT " + "x" * 100_000)
    describe("-- \n" * 25_000)

    assert time.monotonic() - began < 0.5
