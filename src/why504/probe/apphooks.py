"""How the probe gets into a FastAPI application, and out of it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import TracerProvider

from why504.probe.requests import RequestMiddleware, RequestWatch, TaskMark
from why504.probe.tracing import opt_in_to_new_http_names

if TYPE_CHECKING:
    from starlette.applications import Starlette


class AppHooks:
    """OpenTelemetry's server spans outside, our middleware next, our task mark innermost.

    FastAPI's native telemetry steps back where it finds OpenTelemetry's middleware in the stack.
    """

    def __init__(self, app: Starlette, watch: RequestWatch) -> None:
        self._app: Any = app
        self._watch = watch
        self._spans_are_ours = False

    def attach(self, provider: TracerProvider) -> None:
        """Hook the application; a stack that was built already is built anew."""
        from starlette.middleware import Middleware

        opt_in_to_new_http_names()
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        app, watch = self._app, self._watch
        self._mark = Middleware(TaskMark, watch=watch)
        app.user_middleware.append(self._mark)
        build = app.build_middleware_stack

        def build_watched() -> Any:
            stack = build()
            stack.app = RequestMiddleware(stack.app, watch)
            return stack

        app.build_middleware_stack = build_watched
        self._spans_are_ours = not getattr(app, "_is_instrumented_by_opentelemetry", False)
        if self._spans_are_ours:
            FastAPIInstrumentor.instrument_app(
                app, tracer_provider=provider, exclude_spans=["send", "receive"]
            )
        app.middleware_stack = None

    def detach(self) -> None:
        """Leave the application as it was."""
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        app = self._app
        if self._spans_are_ours:
            FastAPIInstrumentor.uninstrument_app(app)
        vars(app).pop("build_middleware_stack", None)
        if self._mark in app.user_middleware:
            app.user_middleware.remove(self._mark)
        app.middleware_stack = None
