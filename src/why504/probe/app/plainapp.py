"""An ASGI application of no framework that we know: watched by what stands around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import why504
from why504.probe.app.requests import App, Receive, RequestMiddleware, RequestWatch, Scope, Send
from why504.probe.app.serving import Serving
from why504.probe.lean.served import ServerSpans
from why504.probe.safety import Guard
from why504.probe.spans.spanflow import SpanFlow


class PlainApp:
    """Stands for an application; what it does not have itself is the application's."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._stack = app

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["app"], name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await self._stack(scope, receive, send)

    def attach(
        self,
        watch: RequestWatch,
        spans: SpanFlow,
        guard: Guard,
        on_serving: Callable[[], None],
    ) -> None:
        """Put server spans and the look at requests around the application."""
        inner = Serving(RequestMiddleware(self.app, watch), on_serving)
        tracer = spans.serving.get_tracer("why504", why504.__version__)
        self._stack = ServerSpans(inner, tracer, guard)

    def detach(self) -> None:
        """Take both away."""
        self._stack = self.app
