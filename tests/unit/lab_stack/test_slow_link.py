from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from lab.stack.slow_link import SlowLink


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends everything back and ends when its client has ended."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    def answer(client: socket.socket) -> None:
        with client:
            while chunk := client.recv(65536):
                client.sendall(chunk)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_each_direction_and_the_opening_are_late(echo):
    with (
        SlowLink(echo, delay_s=0.05) as link,
        socket.create_connection(("127.0.0.1", link.port)) as client,
    ):
        began = time.monotonic()
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        first_s = time.monotonic() - began

        began = time.monotonic()
        client.sendall(b"y")
        assert client.recv(1) == b"y"
        second_s = time.monotonic() - began

    assert 0.2 <= first_s < 0.6
    assert 0.1 <= second_s < 0.4


def test_bytes_arrive_whole_in_order_and_both_ends_can_end_alone(echo):
    sent = bytes(range(256)) * 20_000
    with (
        SlowLink(echo, delay_s=0.01) as link,
        socket.create_connection(("127.0.0.1", link.port), timeout=20) as client,
    ):

        def send() -> None:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)

        threading.Thread(target=send).start()
        received = bytearray()
        while chunk := client.recv(65536):
            received += chunk

    assert hashlib.sha256(received).digest() == hashlib.sha256(sent).digest()


def test_a_link_to_nowhere_hangs_up(free_port):
    with (
        SlowLink(free_port, delay_s=0) as link,
        socket.create_connection(("127.0.0.1", link.port), timeout=5) as client,
    ):
        assert client.recv(1) == b""


def test_a_stopped_link_cuts_its_connections(echo):
    link = SlowLink(echo, delay_s=0)
    with socket.create_connection(("127.0.0.1", link.port), timeout=5) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"

        link.stop()

        assert client.recv(1) == b""
