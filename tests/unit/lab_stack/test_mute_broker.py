from __future__ import annotations

import socket
import time

import pika
import pytest
from pika.adapters.utils.connection_workflow import AMQPConnectorStackTimeout

from lab.stack.broker import MuteBroker


def test_a_broker_client_connects_and_then_waits_until_its_own_limit():
    with MuteBroker() as broker:
        limits = pika.URLParameters(f"{broker.url}?stack_timeout=0.6&socket_timeout=0.3")
        limits.connection_attempts = 1
        began = time.monotonic()

        with pytest.raises(AMQPConnectorStackTimeout):
            pika.BlockingConnection(limits)

        assert 0.5 < time.monotonic() - began < 3


def test_every_client_is_kept_and_never_answered():
    with MuteBroker() as broker:
        clients = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(100)]
        for client in clients:
            client.sendall(b"AMQP\x00\x00\x09\x01")
            client.settimeout(0.001)

        for client in clients:
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.close()


def test_a_stopped_broker_hangs_up_on_its_clients():
    broker = MuteBroker()
    with socket.create_connection(("127.0.0.1", broker.port), timeout=5) as client:
        client.sendall(b"AMQP")
        time.sleep(0.05)

        broker.stop()

        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", broker.port))
