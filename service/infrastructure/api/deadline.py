"""The application's own limit: a request that takes too long is cancelled and answered.

Pure ASGI and in the request's own task, so that whoever looks at the task sees the line it waits
in, and not this middleware. The answer does not wait for the cancelled work to end: a driver that
talks to a frozen server may take seconds to let go.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.infrastructure.api.problems import TIMED_OUT, problem


class Deadline:
    """Cancels a request after `limit_s` seconds and answers 503; None = never."""

    def __init__(self, app: ASGIApp, *, limit_s: float | None) -> None:
        self._app = app
        self._limit_s = limit_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or self._limit_s is None:
            await self._app(scope, receive, send)
            return
        reply = _Reply(scope, receive, send)
        alarm = asyncio.get_running_loop().call_later(self._limit_s, reply.give_up)
        limit = asyncio.timeout(self._limit_s)
        try:
            async with limit:
                await self._app(scope, receive, reply.send)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            alarm.cancel()
            await reply.settled()


class _Reply:
    """One response, written either by the application or by the deadline, never by both."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._began = False
        self._late: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        if self._late is None:
            self._began = True
            await self._send(message)

    def give_up(self) -> None:
        """Answer 503, unless the application began to answer."""
        if not self._began:
            answer = problem(self._scope, TIMED_OUT)
            self._late = asyncio.create_task(answer(self._scope, self._receive, self._send))

    async def settled(self) -> None:
        """Return when the deadline's own answer, if there is one, is written."""
        if self._late is not None:
            await self._late
