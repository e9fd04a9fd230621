import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from lab.http_client import Client, Failed

ANSWER = b"HTTP/1.1 201 Created\r\nX-Trace-Id: ab\r\nContent-Length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


@asynccontextmanager
async def serving(answer):
    """A server that sends `answer` to every request; yields its URL and its connections."""
    connections = []

    async def serve(reader, writer):
        connections.append(writer)
        while head := await reader.read(65_536):
            if b"\r\n\r\n" in head:
                writer.write(answer)
                if answer == b"":
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
    finally:
        server.close()
        for writer in connections:
            writer.close()


async def test_an_answer_has_status_headers_and_body():
    async with serving(ANSWER) as (url, _):
        client = Client(url, timeout_s=2)
        answer = await client.request("POST", "/", {"a": 1})
        client.close()

    assert (answer.status, answer.headers["x-trace-id"], answer.body) == (201, "ab", b"ok")


@pytest.mark.parametrize(("answer", "opened"), [(ANSWER, 1), (CHUNKED, 1), (CLOSING, 3)])
async def test_a_connection_is_used_again_unless_the_server_closes_it(answer, opened):
    async with serving(answer) as (url, connections):
        client = Client(url, timeout_s=2)
        for _ in range(3):
            await client.request("GET", "/")
        client.close()

        assert len(connections) == opened


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again():
    async with serving(ANSWER) as (url, connections):
        client = Client(url, timeout_s=2)
        await client.request("GET", "/")
        connections[0].close()
        await asyncio.sleep(0.05)
        answer = await client.request("GET", "/")
        client.close()

    assert answer.status == 201


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", ANSWER[:-1], b"HTTP/1.1 200"])
async def test_half_an_answer_is_none(answer):
    async with serving(answer) as (url, _):
        with pytest.raises(Failed):
            await Client(url, timeout_s=0.3).request("GET", "/")


async def test_nobody_listening_is_a_failure(free_port):
    with pytest.raises(Failed):
        await Client(f"http://127.0.0.1:{free_port}", timeout_s=1).request("GET", "/")


async def test_hundreds_of_requests_that_hang_do_not_slow_down_the_next_one():
    async with serving(ANSWER) as (url, _):
        quick = Client(url, timeout_s=5)
        async with serving(b"HTTP/1.1 100 Continue\r\n\r\n") as (hanging_url, _):
            slow = Client(hanging_url, timeout_s=30)
            hanging = [asyncio.create_task(slow.request("GET", "/")) for _ in range(400)]
            await asyncio.sleep(0.5)
            began_s = time.process_time()
            for _ in range(100):
                await quick.request("GET", "/")
            took_s = time.process_time() - began_s
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
        quick.close()

    assert took_s < 0.5, "5 ms of CPU a request would be too much"
