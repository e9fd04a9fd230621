"""Who reaches an explorer: this machine, under its own names, from its own page."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.stack.explorer import Explorer
from tests.integration.explorer import stored_hangs

pytestmark = pytest.mark.slow

EXPLORER = Path(__file__).parents[3] / "dashboards" / "explorer.py"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An explorer as everybody starts it."""
    folder = tmp_path_factory.mktemp("reach")
    stored_hangs.write(folder / "store", stored_hangs.pool_hang())
    with Explorer.start(folder, folder / "store") as explorer:
        yield explorer.port


def status(port: int, path: str, host: str, origin: str = "") -> int:
    """Return how a request is answered; one with an origin asks for a websocket."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}"]
    if origin:
        key = base64.b64encode(os.urandom(16)).decode()
        lines += ["Upgrade: websocket", "Connection: Upgrade", f"Origin: {origin}"]
        lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(connection.recv(1024).split()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_its_own_page_gets_in(port: int, host: str):
    assert status(port, "/", host) == 200
    assert status(port, "/_stcore/stream", host, f"http://{host}:{port}") == 101


def test_a_page_of_another_site_gets_no_websocket(port: int):
    assert status(port, "/_stcore/stream", "127.0.0.1", "http://evil.example") == 403
    assert status(port, "/_stcore/stream", "127.0.0.1", "null") == 403


def test_a_name_that_was_made_to_lead_here_gets_neither_page_nor_websocket(port: int):
    assert status(port, "/", "evil.example") == 421
    assert status(port, "/_stcore/stream", "evil.example", f"http://evil.example:{port}") == 403
