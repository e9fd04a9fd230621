"""RabbitMQ's clients, aio-pika, aiormq and pika, on a real broker, with an alarm and without."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aio_pika
import aiormq
import pika
import pytest

from why504 import names

pytestmark = pytest.mark.rabbitmq


async def test_connecting_and_publishing_of_aio_pika_have_one_span_each(told, rabbitmq):
    with told.request():
        connection = await aio_pika.connect(f"{rabbitmq.url}?name=hunter2")
        async with connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("pools-aio", auto_delete=True)
            await channel.default_exchange.publish(aio_pika.Message(b"secret"), queue.name)

    (connect,), (publish,) = told.spans("connect"), told.spans("publish")
    assert publish.name == "publish (default)"
    assert publish.kind.name == "PRODUCER"
    assert publish.attributes["messaging.destination.name"] == "pools-aio"
    assert connect.attributes[names.MESSAGING_SYSTEM] == "rabbitmq"
    port = connect.attributes[names.SERVER_PORT]
    assert publish.attributes[names.SERVER_PORT] == port
    assert publish.status.is_unset
    assert "secret" not in str([span.attributes for span in told.spans()])


async def test_aiormq_alone_tells_the_same(told, rabbitmq):
    connection = await aiormq.connect(rabbitmq.url)
    channel = await connection.channel()
    with told.request():
        await channel.basic_publish(b"", exchange="amq.topic", routing_key="a.b")
    await connection.close()

    (publish,) = told.spans("publish")
    assert publish.name == "publish amq.topic"
    assert publish.attributes["messaging.destination.name"] == "amq.topic:a.b"


async def test_a_broker_that_is_gone_is_an_error_of_connecting(told, free_port):
    with pytest.raises(ConnectionError):
        await aio_pika.connect(f"amqp://nobody:secret@127.0.0.1:{free_port}/")

    (connect,) = told.spans("connect")
    assert not connect.status.is_ok
    assert connect.attributes[names.SERVER_PORT] == free_port
    assert "secret" not in str(connect.attributes)


async def test_who_publishes_while_the_broker_takes_nothing_says_why(told, managed_rabbitmq):
    connection = await aio_pika.connect(managed_rabbitmq.url)
    async with connection:
        channel = await connection.channel()

        async def publish() -> None:
            # What was on its way as the alarm came is still taken.
            for _ in range(20):
                await channel.default_exchange.publish(aio_pika.Message(b""), "x", mandatory=False)

        managed_rabbitmq.alarm(True)
        try:
            with told.request(), pytest.raises(TimeoutError):
                await asyncio.wait_for(publish(), 2)
        finally:
            managed_rabbitmq.alarm(False)

    last = told.spans("publish")[-1]
    assert last.attributes[names.BROKER_CONNECTION_BLOCKED] == "low on memory"
    assert last.attributes[names.ERROR_TYPE] == "CancelledError"


def test_pika_says_so_as_well(told, managed_rabbitmq):
    parameters = pika.URLParameters(managed_rabbitmq.url)
    parameters.blocked_connection_timeout = 1
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.confirm_delivery()

    def publish() -> None:
        for _ in range(20):
            channel.basic_publish("", "nowhere", b"")

    managed_rabbitmq.alarm(True)
    try:
        with told.request(), pytest.raises(pika.exceptions.AMQPError):
            publish()
    finally:
        managed_rabbitmq.alarm(False)
        with suppress(pika.exceptions.AMQPError):
            connection.close()

    last = told.spans("publish")[-1]
    assert last.attributes[names.BROKER_CONNECTION_BLOCKED] == "low on memory"


async def test_shutdown_gives_aio_pika_its_own_methods_back(told, rabbitmq):
    told.probe.shutdown()
    async with await aio_pika.connect(rabbitmq.url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("pools-aio-2", auto_delete=True)
        await channel.default_exchange.publish(aio_pika.Message(b""), queue.name)

    assert told.spans() == []
