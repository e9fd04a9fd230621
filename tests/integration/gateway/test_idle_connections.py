"""Who closes an idle connection first, the gateway or the server behind it: why it matters.

A server that closes sooner does so while its loop is busy, in the same round in which a request
arrives on that connection. The gateway may not send a POST twice, so the client gets 502.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from lab.deployment import uvicorn
from lab.stack.nginx import Nginx
from lab.stack.ports import free_port as find_port
from lab.stack.process import Program, start
from lab.stack.ready import listens

pytestmark = pytest.mark.nginx

SHORT_S = 1
"""How long the careless server keeps an idle connection."""
HERE = Path(__file__).parent
ROOT = Path(__file__).parents[3]
Message = MutableMapping[str, Any]


def create_app() -> Callable[..., Awaitable[None]]:
    """Answer at once; after /arm the loop is busy around the moment at which SHORT_S is over."""

    async def app(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        assert scope["type"] == "http"
        if scope["path"] == "/arm":
            loop = asyncio.get_running_loop()
            # When the first is over, the second is due together with the end of the connection.
            loop.call_later(SHORT_S - 0.1, time.sleep, 0.15)
            loop.call_later(SHORT_S - 0.05, time.sleep, 0.3)
        length = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": b"ok"})

    return app


@pytest.fixture
def statuses_behind(nginx_binary, tmp_path) -> Iterator[Callable[[list[str]], list[int]]]:
    """Return what three requests get that come while the loop is busy after a quiet second."""

    def ask(more: list[str]) -> list[int]:
        port = find_port()
        argv = [*uvicorn("test_idle_connections:create_app", port), "--lifespan", "off", *more]
        program = Program(argv, "server", tmp_path, {"PYTHONPATH": f"{HERE}:{ROOT}"})
        with (
            start(program, ready=listens(port)) as server,
            Nginx.start(tmp_path / "nginx", upstream_ports=[port], timeout_s=5.0) as gateway,
        ):
            assert server.alive
            return [_one(gateway.port) for _ in range(3)]

    return ask


def _one(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/arm", b"{}")
    assert connection.getresponse().read() == b"ok"
    time.sleep(SHORT_S + 0.15)
    connection.request("POST", "/x", b"{}")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    time.sleep(0.4)
    return answer.status


def test_a_server_that_closes_idle_connections_first_costs_requests(statuses_behind):
    assert 502 in statuses_behind(["--timeout-keep-alive", str(SHORT_S)])


def test_the_lab_serves_so_that_the_gateway_closes_first(statuses_behind):
    assert statuses_behind([]) == [200, 200, 200]
