"""Answers 500 where the other middleware still sees it.

Starlette's own handler of unexpected errors stands outside of all middleware: a web page could not
read its answer, for want of CORS headers, and a client would not be told the trace id.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.infrastructure.api.problems import UNEXPECTED, problem


class Mistakes:
    """Turns an error that nobody foresaw into a problem, and lets the server log it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if not began:
                await problem(scope, UNEXPECTED)(scope, receive, send)
            raise
