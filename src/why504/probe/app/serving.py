"""Outermost in an application: notices that it serves from now on."""

from __future__ import annotations

from collections.abc import Callable

from why504.probe.app.requests import App, Message, Receive, Scope, Send


class Serving:
    """Calls `on_serving` once the application has started, or at the first request.

    Not when it is about to start: tracing is often set up then.
    """

    def __init__(self, app: App, on_serving: Callable[[], None]) -> None:
        self.app = app
        self._on_serving: Callable[[], None] | None = on_serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if self._on_serving is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, self._watching(send))
        else:
            self._serves()
            await self.app(scope, receive, send)

    def _watching(self, send: Send) -> Send:
        async def watching(message: Message) -> None:
            if message.get("type") == "lifespan.startup.complete":
                self._serves()
            await send(message)

        return watching

    def _serves(self) -> None:
        call, self._on_serving = self._on_serving, None
        if call is not None:
            call()
