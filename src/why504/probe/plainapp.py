"""An ASGI application of no framework that we know: watched by what stands around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.trace import TracerProvider

from why504.probe.requests import App, Receive, RequestMiddleware, RequestWatch, Scope, Send
from why504.probe.serving import Serving
from why504.probe.tracing import opt_in_to_new_http_names


class PlainApp:
    """Stands for an application; what it does not have itself is the application's."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._stack = app

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["app"], name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] in ("http", "websocket") and self._stack is not self.app:
            # A FastAPI somewhere inside makes no second span of the request.
            scope.setdefault("fastapi.telemetry", None)
        await self._stack(scope, receive, send)

    def attach(
        self, watch: RequestWatch, provider: TracerProvider, on_serving: Callable[[], None]
    ) -> None:
        """Put server spans and the look at requests around the application."""
        opt_in_to_new_http_names()
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

        inner = Serving(RequestMiddleware(self.app, watch), on_serving)
        self._stack = OpenTelemetryMiddleware(
            inner,
            default_span_details=_details,
            tracer_provider=provider,
            exclude_spans=["send", "receive"],
        )

    def detach(self) -> None:
        """Take both away."""
        self._stack = self.app


def _details(scope: Scope) -> tuple[str, dict[str, Any]]:
    # Without a route the method alone: names are counted, and paths have no bound.
    return str(scope.get("method", scope["type"])), {}
