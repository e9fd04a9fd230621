"""How the probe gets into an application of FastAPI or Starlette, and out of it again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import TracerProvider

import why504
from why504.probe.app.requests import RequestMiddleware, RequestWatch, TaskMark
from why504.probe.lean.background import BackgroundSpans
from why504.probe.lean.excluded import with_the_good_alone
from why504.probe.lean.served import ServerSpans
from why504.probe.safety import Guard
from why504.probe.spans.tracing import opt_in_to_new_http_names

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.middleware.errors import ServerErrorMiddleware

_CAPTURED: Final = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_"
"""Begin the names of variables by which OpenTelemetry's middleware keeps headers; ours can't."""


class AppHooks:
    """Server spans outermost, our middleware next, our task mark innermost.

    Args:
        app: the application.
        watch: what is noted of its requests.
        guard: swallows and counts what goes wrong with the spans.
        contrib: whether the spans are to be those of `opentelemetry-instrumentation-fastapi`.
    """

    def __init__(
        self, app: Starlette, watch: RequestWatch, guard: Guard, *, contrib: bool = False
    ) -> None:
        self._app: Any = app
        self._watch = watch
        self._guard = guard
        self._contrib = contrib or _keeps_headers(os.environ)
        self._attached = False
        self._instrumented = False
        self._silenced: dict[str, Any] | None = None
        self._background: BackgroundSpans | None = None

    def attach(self, provider: TracerProvider) -> None:
        """Hook the application; a stack that was built already is built anew."""
        from starlette.middleware import Middleware

        app, watch = self._app, self._watch
        self._attached = True
        self._mark = Middleware(TaskMark, watch=watch)
        app.user_middleware.append(self._mark)
        theirs = bool(getattr(app, "_is_instrumented_by_opentelemetry", False))
        tracer = None
        if not theirs and not self._contrib:
            tracer = provider.get_tracer("why504", why504.__version__)
            self._background = BackgroundSpans(tracer, self._guard)
            self._background.attach()
        build = app.build_middleware_stack

        def build_watched() -> Any:
            stack = build()
            if self._attached:
                stack.app = RequestMiddleware(stack.app, watch)
                if tracer is not None:
                    return _under_spans(stack, ServerSpans(stack, tracer, self._guard))
            return stack

        app.build_middleware_stack = self._build = build_watched
        if self._contrib and not theirs:
            self._instrument(provider)
        app.middleware_stack = None

    def detach(self) -> None:
        """Leave the application as it was."""
        app = self._app
        self._attached = False
        if self._instrumented:
            from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

            FastAPIInstrumentor.uninstrument_app(app)
        if vars(app).get("build_middleware_stack") is self._build:
            del app.build_middleware_stack  # somebody who came later has it in hand
        if self._mark in app.user_middleware:
            app.user_middleware.remove(self._mark)
        if self._background is not None:
            self._background.detach()
        if self._silenced is not None:
            self._silenced["tracing"] = True
        app.middleware_stack = None

    def _instrument(self, provider: TracerProvider) -> None:
        with with_the_good_alone():
            from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        opt_in_to_new_http_names()
        FastAPIInstrumentor.instrument_app(
            self._app, tracer_provider=provider, exclude_spans=["send", "receive"]
        )
        self._instrumented = True

    def silence_fastapi(self) -> None:
        """Keep FastAPI's own telemetry from making spans because there is a provider of ours.

        It has a setting for it, `FastAPI(telemetry={"tracing": False})`, which it reads at each
        request. Where the application has a provider, it had these spans before us: they stay, and
        `ServerSpans` steps back.
        """
        config = getattr(self._app, "_telemetry", None)
        if self._background is None or not isinstance(config, dict):
            return  # OpenTelemetry's middleware makes the spans: FastAPI's steps back for it
        if config.get("tracing") and config.get("tracer_provider") is None:
            config["tracing"] = False
            self._silenced = config


def _under_spans(stack: ServerErrorMiddleware, spans: ServerSpans) -> ServerErrorMiddleware:
    """Return the spans around a stack, as what Starlette's stacks begin with.

    OpenTelemetry's instrumentor asks for that. When it comes after us it takes out what is inside,
    and with it our spans are gone: there is one server span then too.
    """
    from starlette.middleware.errors import ServerErrorMiddleware

    class SpansOutside(ServerErrorMiddleware):
        # Not a method that calls it: that would be a coroutine more for each request.
        __call__ = staticmethod(spans.__call__)

    return SpansOutside(stack.app, stack.handler, stack.debug)


def _keeps_headers(env: Mapping[str, str]) -> bool:
    return any(name.startswith(_CAPTURED) and value for name, value in env.items())
