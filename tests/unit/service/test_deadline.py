from __future__ import annotations

import asyncio
import json
import time

import pytest

from service.infrastructure.api.deadline import Deadline

SCOPE = {
    "type": "http",
    "headers": [(b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")],
}


async def receive():
    raise AssertionError("nobody reads the body here")


class Client:
    def __init__(self) -> None:
        self.messages: list[dict] = []
        self.answered = asyncio.Event()

    async def send(self, message) -> None:
        self.messages.append(dict(message))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.answered.set()

    @property
    def status(self) -> int:
        return self.messages[0]["status"]


async def answer(send, *, status=200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


async def test_a_request_in_time_is_left_alone():
    async def app(scope, receive, send):
        await answer(send)

    client = Client()
    await Deadline(app, limit_s=1)(SCOPE, receive, client.send)

    assert [message["type"] for message in client.messages] == [
        "http.response.start",
        "http.response.body",
    ]
    assert client.status == 200


async def test_a_request_that_hangs_is_answered_with_a_problem_and_its_trace_id():
    async def app(scope, receive, send):
        await asyncio.Event().wait()

    client = Client()
    await Deadline(app, limit_s=0.05)(SCOPE, receive, client.send)

    assert client.status == 503
    assert json.loads(client.messages[1]["body"]) == {
        "type": "urn:problem:timed-out",
        "title": "The service gave up this request",
        "status": 503,
        "trace_id": "a" * 32,
    }


async def test_the_answer_does_not_wait_for_work_that_resists_cancellation():
    async def app(scope, receive, send):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.5)
            await answer(send, status=500)

    client = Client()
    started_s = time.monotonic()
    request = asyncio.create_task(Deadline(app, limit_s=0.05)(SCOPE, receive, client.send))
    await asyncio.wait_for(client.answered.wait(), 2)

    assert time.monotonic() - started_s < 0.4
    await request
    assert [message.get("status") for message in client.messages] == [503, None]


async def test_an_answer_that_began_is_never_followed_by_another():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    client = Client()
    await Deadline(app, limit_s=0.05)(SCOPE, receive, client.send)

    assert [message["type"] for message in client.messages] == ["http.response.start"]


async def test_a_timeout_of_the_application_itself_is_not_taken_for_the_deadline():
    async def app(scope, receive, send):
        raise TimeoutError("a library's")

    with pytest.raises(TimeoutError, match="a library's"):
        await Deadline(app, limit_s=5)(SCOPE, receive, Client().send)


async def test_the_request_runs_in_the_task_that_called_it():
    tasks = []

    async def app(scope, receive, send):
        tasks.append(asyncio.current_task())
        await answer(send)

    await Deadline(app, limit_s=5)(SCOPE, receive, Client().send)

    assert tasks == [asyncio.current_task()]


async def test_a_client_that_goes_away_cancels_as_ever():
    async def app(scope, receive, send):
        await asyncio.Event().wait()

    request = asyncio.create_task(Deadline(app, limit_s=5)(SCOPE, receive, Client().send))
    await asyncio.sleep(0)
    request.cancel()

    with pytest.raises(asyncio.CancelledError):
        await request


async def test_without_a_limit_nothing_is_cancelled():
    async def app(scope, receive, send):
        await asyncio.sleep(0.05)
        await answer(send)

    client = Client()
    await Deadline(app, limit_s=None)(SCOPE, receive, client.send)

    assert client.status == 200
