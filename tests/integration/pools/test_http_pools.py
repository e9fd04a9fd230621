"""Outgoing HTTP by httpx and requests: connections waited for, DNS, TCP, TLS, limits."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpcore  # httpx imports it late, and what comes late is watched a bit later
import httpcore2  # noqa: F401
import httpx
import httpx2
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from tests.lines import HERE
from why504 import names

line_of = HERE(__file__)


class Api:
    """Answers /slow when it is let go, /refuse with 429, all else at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path.startswith("/slow"):
                    api.go.wait(20)
                self.send_response(429 if self.path.startswith("/refuse") else 200)
                if self.path.startswith("/refuse"):
                    self.send_header("Retry-After", "3")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()
        self.port = self.server.server_address[1]
        self.url = f"http://localhost:{self.port}"


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()
    yield found
    found.go.set()
    found.server.shutdown()
    found.server.server_close()


async def until_open(told, kind: str) -> None:
    async with asyncio.timeout(20):
        while not told.probe.book.of_kind(kind):
            await asyncio.sleep(0.01)


def until(fact) -> None:
    end = threading.Event()
    for _ in range(1000):
        if fact():
            return
        end.wait(0.01)
    raise AssertionError("did not come true in time")


@pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda one: one.__name__)
async def test_a_task_that_waits_for_a_connection_waits_inside_its_call(told, api, library):
    limits = library.Limits(max_connections=1)
    async with library.AsyncClient(limits=limits, timeout=20) as client:

        async def ask(path: str) -> None:
            await client.get(api.url + path)  # asks

        with told.request():
            first = asyncio.create_task(ask("/slow"))
            await until_open(told, names.HOLD)
            second = asyncio.create_task(ask("/quick"))
            await until_open(told, names.WAIT)
            await asyncio.sleep(0.05)  # queued for so long that it counts
            api.go.set()
            await asyncio.gather(first, second)

    # Who waited had it afterwards, when nobody else wanted it.
    (wait,), (hold,) = told.finals(names.WAIT), told.finals(names.HOLD)
    calls = {span.attributes[names.URL_PATH]: span for span in told.spans("GET")}
    assert wait.attributes[names.RESOURCE] == "http.pool:localhost"
    assert wait.attributes[names.OUTCOME] == "acquired"
    assert wait.attributes[names.POOL_CAPACITY] == 1
    assert wait.attributes[names.POOL_IN_USE] == 1
    assert wait.parent_id == calls["/quick"].context.span_id
    assert hold.parent_id == calls["/slow"].context.span_id
    assert hold.attributes[names.CODE_LINE] == line_of("asks")


@pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda one: one.__name__)
def test_a_stream_that_nobody_closes_keeps_its_connection(told, api, library):
    with library.Client(limits=library.Limits(max_connections=1)) as client, told.request():
        kept = client.send(client.build_request("GET", api.url), stream=True)
        with pytest.raises(library.PoolTimeout):
            client.get(api.url, timeout=library.Timeout(5, pool=0.05))
        assert [r.resource for r in told.probe.book.of_kind(names.HOLD)] == ["http.pool:localhost"]
        kept.close()

        assert told.probe.book.of_kind(names.HOLD) == []
        assert client.get(api.url).status_code == 200
    assert [wait.attributes[names.OUTCOME] for wait in told.finals(names.WAIT)] == ["timeout"]


async def test_a_pool_that_nobody_waited_for_tells_nothing(told, api):
    async with httpx.AsyncClient() as client:
        with told.request():
            await client.get(api.url)

    assert told.finals(names.HOLD) == []
    assert told.finals(names.WAIT) == []


async def test_looking_a_name_up_and_connecting_are_parts_of_the_call(told, api):
    async with httpx.AsyncClient(timeout=7) as client:
        with told.request():
            await client.get(api.url)
            await client.get(api.url)

    first, second = told.spans("GET")
    (connect,) = told.spans("connect")
    (dns,) = told.spans("dns")
    assert connect.parent.span_id == first.context.span_id
    assert dns.parent.span_id == connect.context.span_id
    assert dns.attributes[names.DNS_NAME] == "localhost"
    assert (connect.name, connect.attributes[names.SERVER_ADDRESS]) == ("connect", "localhost")
    assert connect.attributes[names.SERVER_PORT] == api.port
    assert connect.attributes[names.CLIENT_TIMEOUT_S] == 7.0
    assert second.attributes[names.HTTP_STATUS] == 200


def test_threads_tell_the_same(told, api):
    with httpx.Client() as client, told.request():
        client.get(api.url)

    (call,), (connect,), (dns,) = told.spans("GET"), told.spans("connect"), told.spans("dns")
    assert connect.parent.span_id == call.context.span_id
    assert dns.parent.span_id == connect.context.span_id


def test_a_name_that_nobody_knows_fails_where_it_is_looked_up(told):
    with httpx.Client() as client, told.request(), pytest.raises(httpx.ConnectError):
        client.get("http://nowhere.invalid/")

    (dns,) = told.spans("dns")
    assert dns.attributes[names.ERROR_TYPE] == "gaierror"
    assert not dns.status.is_ok


def test_a_listener_of_the_applications_own_still_hears(told, api):
    heard = []

    with httpx.Client() as client, told.request():
        client.get(api.url, extensions={"trace": lambda event, info: heard.append(event)})

    assert "connection.connect_tcp.complete" in heard
    assert len(told.spans("connect")) == 1


def test_a_request_that_is_sent_again_and_again_stays_as_it_was(told, api):
    def hear(_event: str, _info: object) -> None:
        """Say nothing."""

    request = httpcore.Request(
        "GET", api.url, headers=[("Host", "localhost")], extensions={"trace": hear}
    )
    with httpcore.ConnectionPool() as pool, told.request():
        for _ in range(3):
            response = pool.handle_request(request)
            response.read()
            response.close()
            assert request.extensions == {"trace": hear}


@pytest.mark.parametrize("timeout", [None, 4.0])
def test_whether_a_client_has_a_limit_is_told(told, api, timeout):
    session = requests.Session()
    with httpx.Client(timeout=timeout) as client, session, told.request():
        client.get(api.url)
        session.get(api.url, timeout=timeout)

    for call in told.spans("GET"):
        assert call.attributes.get(names.CLIENT_TIMEOUT_S) == timeout
        assert call.attributes.get(names.CLIENT_UNLIMITED) == (True if timeout is None else None)


def test_requests_has_a_span_for_each_attempt(told, api):
    again = urllib3.Retry(total=2, status_forcelist=[429], respect_retry_after_header=False)
    with requests.Session() as session, told.request():
        session.mount("http://", HTTPAdapter(max_retries=again))
        with pytest.raises(requests.exceptions.RetryError):
            session.get(f"{api.url}/refuse?token=secret", timeout=5)

    calls = told.spans("GET")
    assert [call.attributes[names.HTTP_STATUS] for call in calls] == [429] * 3
    assert {call.attributes[names.RETRY_AFTER_S] for call in calls} == {3.0}
    assert {call.attributes[names.URL_PATH] for call in calls} == {"/refuse"}
    assert {call.attributes[names.CODE_FILE] for call in calls} == {
        "tests/integration/pools/test_http_pools.py"
    }
    assert "secret" not in str([span.attributes for span in told.spans()])
    (connect,) = told.spans("connect")
    assert connect.parent.span_id == calls[0].context.span_id
    assert told.spans("dns")[0].parent.span_id == connect.context.span_id


def test_a_thread_that_waits_for_a_blocking_pool_of_urllib3_is_told(told, api):
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=1, pool_block=True))

    def ask(path: str) -> None:
        with told.request(path):
            session.get(api.url + path, timeout=20)

    first = threading.Thread(target=ask, args=("/slow",))
    second = threading.Thread(target=ask, args=("/quick",))
    first.start()
    until(lambda: told.probe.book.of_kind(names.HOLD))
    second.start()
    until(lambda: told.probe.book.of_kind(names.WAIT))
    threading.Event().wait(0.05)
    api.go.set()
    first.join()
    second.join()
    session.close()

    (wait,), (hold,) = told.finals(names.WAIT), told.finals(names.HOLD)
    by_id = {span.context.span_id: span.name for span in told.spans()}
    assert by_id[wait.parent_id] == "/quick"
    assert by_id[hold.parent_id] == "/slow"
    assert told.probe.book.of_kind(names.HOLD) == []


def test_a_connection_that_breaks_gives_its_place_back(told):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=1, block=True, retries=False)
        with told.request(), pytest.raises(urllib3.exceptions.ProtocolError):
            pool.request("GET", "/")
        thread.join()
        pool.close()

    assert told.probe.book.of_kind(names.HOLD) == []


def test_outside_a_request_nothing_is_told(told, api):
    requests.get(api.url, timeout=5)
    httpx.get(api.url)

    assert told.spans() == []


def test_shutdown_gives_all_clients_their_own_methods_back(told, api):
    told.probe.shutdown()
    with told.request():
        requests.get(api.url, timeout=5)
        httpx.get(api.url)

    assert [span.name for span in told.spans()] == ["request"]
    assert "why504" not in socket.getaddrinfo.__code__.co_filename
