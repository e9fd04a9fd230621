from __future__ import annotations

import pika
import pytest
from pika.adapters.utils.connection_workflow import AMQPConnectorStackTimeout
from pika.exceptions import ConnectionBlockedTimeout

from lab.stack import rabbitmq as module
from lab.stack.rabbitmq import RabbitMQ
from why504.errors import LabError

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow]


def connect(server: RabbitMQ, **limits: float) -> pika.BlockingConnection:
    parameters = pika.URLParameters(server.url)
    for name, limit_s in limits.items():
        setattr(parameters, name, limit_s)
    return pika.BlockingConnection(parameters)


def publish_many(channel) -> None:
    """The first one may still get in."""
    for _ in range(10):
        channel.basic_publish("", "alarmed", b"x")


def test_a_frozen_broker_answers_nobody_and_then_everybody(rabbitmq):
    rabbitmq.freeze()
    try:
        with pytest.raises(AMQPConnectorStackTimeout):
            connect(rabbitmq, socket_timeout=0.5, stack_timeout=0.5)
    finally:
        rabbitmq.thaw()

    assert rabbitmq.depth("no such queue") is None


def test_an_alarm_blocks_publishers_until_it_is_lifted(rabbitmq):
    with connect(rabbitmq) as connection:
        connection.channel().queue_declare("alarmed")
    rabbitmq.alarm(True)
    try:
        blocked = connect(rabbitmq, blocked_connection_timeout=0.3)
        channel = blocked.channel()
        channel.confirm_delivery()
        with pytest.raises(ConnectionBlockedTimeout):
            publish_many(channel)
    finally:
        rabbitmq.alarm(False)
    with connect(rabbitmq) as connection:
        connection.channel().basic_publish("", "alarmed", b"y")

    assert rabbitmq.depth("alarmed") >= 1


def test_no_broker_at_all_is_told_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "find_binaries", lambda: None)

    with pytest.raises(LabError, match="apt-get install rabbitmq-server"):
        RabbitMQ.start(tmp_path)
