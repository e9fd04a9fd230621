"""Our server spans beside those of OpenTelemetry's FastAPI instrumentation, span by span.

The same requests go to the same application, once under `opentelemetry-instrumentation-fastapi`
and the SDK, once under the probe. What may differ is a table.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import BackgroundTasks, Request
from opentelemetry import trace
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import why504
from tests.integration.probe.routes_of_every_kind import make_app
from why504.config import ProbeSettings
from why504.errors import ConfigError
from why504.probe.probe import PROBE

SAID = {"exception.message", "exception.stacktrace"}
SAMPLED = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
UNSAMPLED = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")


@dataclass(frozen=True)
class Call:
    """One request: what of its scope is unlike the others', and how ours may differ."""

    path: str
    method: str = "GET"
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    scope: dict[str, Any] = field(default_factory=dict)
    differs: dict[str, Any] = field(default_factory=dict)
    """Attributes that ours has otherwise."""


CALLS = {
    "plain": Call("/v1/items/7"),
    "query": Call("/v1/items/7", query=b"q=%C4%91&page=2&flag"),
    "host, agent and other headers": Call(
        "/v1/items/7",
        headers=((b"host", b"shop.test:8443"), (b"user-agent", b"curl/8"), (b"x-more", b"1")),
    ),
    "bot": Call("/v1/items/7", headers=((b"user-agent", b"Mozilla (compatible; Googlebot/2.1)"),)),
    "port 80": Call("/v1/items/7", scope={"server": ("shop.test", 80)}),
    "no client": Call("/v1/items/7", scope={"client": None}),
    "https, http/2": Call("/v1/items/7", scope={"scheme": "https", "http_version": "2"}),
    "part of a trace": Call("/v1/items/7", headers=(SAMPLED, (b"tracestate", b"a=1,b=2"))),
    "not sampled": Call("/v1/items/7", headers=(UNSAMPLED,)),
    "baggage alone": Call("/v1/items/7", headers=((b"baggage", b"user=7"),)),
    "broken traceparent": Call("/v1/items/7", headers=((b"traceparent", b"00-zz-1-01"),)),
    "another verb": Call("/v1/items", method="POST"),
    "no route": Call("/nowhere"),
    "wrong verb": Call("/v1/items/7", method="DELETE"),
    "unheard-of verb": Call("/v1/items/7", method="BREW"),
    "small letters": Call("/v1/items/7", method="get"),
    "not valid": Call("/v1/items/many"),
    "refused": Call("/v1/refuses"),
    "teapot": Call("/v1/status/418"),
    "failed": Call("/v1/status/503"),
    "raises": Call("/v1/raises"),
    "raises what is handled": Call("/v1/handled"),
    "streamed": Call("/v1/stream"),
    "slash too much": Call("/v1/status/200/"),
    "in a thread": Call("/v1/sync"),
    "included under a prefix": Call("/more/of/this"),
    "spans inside": Call("/v1/inner"),
    "background task": Call("/v1/background"),
    "renamed by the application": Call("/v1/renames"),
    "websocket": Call("/v1/socket/7", scope={"type": "websocket", "scheme": "ws"}),
    "websocket without a route": Call("/nosocket", scope={"type": "websocket", "scheme": "ws"}),
    # Theirs has values of secrets.
    "secrets": Call(
        "/v1/items/7",
        query=b"q=1&api_key=s3cr3t&X-Amz-Signature=s3cr3t&%74oken=s3cr3t",
        differs={"url.query": "q=1&api_key=REDACTED&X-Amz-Signature=REDACTED&%74oken=REDACTED"},
    ),
    # A Unix socket has no port; theirs is `/run/app.sock:None`.
    "unix socket": Call(
        "/v1/items/7",
        scope={"server": ("/run/app.sock", None)},
        differs={"server.address": "/run/app.sock"},
    ),
}


async def call(app: Any, one: Call) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("10.0.0.9", 51234),
        "scheme": "http",
        "method": one.method,
        "root_path": "",
        "path": one.path,
        "raw_path": one.path.encode(),
        "query_string": one.query,
        "headers": list(one.headers),
        **one.scope,
    }
    heard = iter([{"type": "http.request", "body": b"", "more_body": False}])
    if scope["type"] == "websocket":
        del scope["method"]
        heard = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "x"}])

    async def receive() -> Any:
        return next(heard, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        await asyncio.sleep(0)

    with suppress(RuntimeError):
        await asyncio.create_task(app(scope, receive, send))


@dataclass
class Told:
    """What counts of a span."""

    name: str
    kind: SpanKind
    parent: str
    sampled_state: str
    status: tuple[str, str]
    """Without what an exception says, which ours leaves out: it may be anybody's data."""
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]


def told(spans: tuple[ReadableSpan, ...]) -> list[Told]:
    ids = {span.context.span_id: span.name for span in spans}
    return sorted((_told(span, ids) for span in spans), key=lambda one: one.name)


def _told(span: ReadableSpan, ids: dict[int, str]) -> Told:
    parent = ""
    if span.parent is not None:
        parent = ids.get(span.parent.span_id, f"{span.parent.span_id:x}")
    events = [
        (event.name, {k: v for k, v in event.attributes.items() if k not in SAID})
        for event in span.events
    ]
    return Told(
        span.name,
        span.kind,
        parent,
        f"{span.context.trace_flags:x} {dict(span.context.trace_state)}",
        (span.status.status_code.name, (span.status.description or "").partition(":")[0]),
        dict(span.attributes),
        events,
    )


@pytest.fixture(autouse=True)
def _todays_names(monkeypatch):
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    monkeypatch.setattr(_OpenTelemetrySemanticConventionStability, "_initialized", False)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def theirs(exporter) -> Iterator[Callable[[Call], list[Told]]]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    app = make_app()
    FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])
    yield lambda one: _spans_of(app, one, exporter)
    FastAPIInstrumentor.uninstrument_app(app)


def _spans_of(app: Any, one: Call, exporter: InMemorySpanExporter) -> list[Told]:
    exporter.clear()
    asyncio.run(call(app, one))
    return told(exporter.get_finished_spans())


@pytest.fixture
def instrumented(settings, exporter) -> Iterator[Callable[..., Any]]:
    probes = []

    def instrument(app: Any, **changed: Any) -> Any:
        values = {"endpoint": settings.endpoint, "metrics_port": -1, **changed}
        probes.append(why504.instrument(app, settings=ProbeSettings(**values)))
        probes[-1]._core.spans.claim()
        provider = trace.get_tracer_provider()
        assert isinstance(provider, TracerProvider)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        return app

    yield instrument
    for probe in probes:
        probe.shutdown()


@pytest.fixture
def the_same(theirs, exporter, settings, instrumented, monkeypatch):
    """Both, one after the other: the process has one provider at a time."""

    def compare(one: Call) -> tuple[list[Told], list[Told]]:
        expected = theirs(one)
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
        monkeypatch.setattr(trace._TRACER_PROVIDER_SET_ONCE, "_done", False)
        return expected, _spans_of(instrumented(make_app()), one, exporter)

    return compare


@pytest.mark.parametrize("name", CALLS)
def test_both_say_the_same(the_same, name):
    one = CALLS[name]
    expected, ours = the_same(one)

    for span in expected:
        span.attributes |= one.differs
    assert ours == expected


def servers(spans: list[Told]) -> list[str]:
    return [span.name for span in spans if span.kind is SpanKind.SERVER]


def test_a_request_that_is_closed_in_another_context_ends_without_a_word(
    exporter, instrumented, caplog
):
    app = instrumented(make_app())

    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    async def begin_and_close() -> None:
        scope = {"type": "http", "method": "GET", "path": "/v1/items/7", "headers": []}
        serving = app({**scope, "query_string": b"", "root_path": ""}, never, never)
        copy_context().run(serving.send, None)
        serving.close()

    asyncio.run(begin_and_close())

    assert servers(told(exporter.get_finished_spans())) == ["GET /v1/items/{item}"]
    assert [record.message for record in caplog.records] == []


@pytest.mark.parametrize("others_make_the_spans", [False, True])
def test_scopes_may_be_copied_and_messages_be_odd(exporter, settings, others_make_the_spans):
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert copy.deepcopy(scope)["path"] == scope["path"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"odd": 1})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    async def serve() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        with trace.get_tracer("theirs").start_as_current_span("outer"):
            await watched(scope, send, send)

    trace.set_tracer_provider(TracerProvider())
    watched = why504.asgi(app, settings=settings)
    probe = getattr(watched, PROBE)
    if others_make_the_spans:
        watched._stack = watched._stack._serve
    asyncio.run(serve())
    probe.shutdown()

    assert [message.get("type") for message in sent] == [
        "http.response.start",
        None,
        "http.response.body",
    ]


def test_an_application_that_contrib_had_before_us_has_one_server_span(exporter, instrumented):
    app = make_app()
    FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])
    spans = _spans_of(instrumented(app), CALLS["plain"], exporter)

    assert servers(spans) == ["GET /v1/items/{item}"]
    assert len(spans) == 1


def test_an_application_that_contrib_gets_after_us_has_one_server_span(exporter, instrumented):
    app = instrumented(make_app())
    FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])
    spans = _spans_of(app, CALLS["plain"], exporter)

    assert servers(spans) == ["GET /v1/items/{item}"]
    assert len(spans) == 1


def test_contrib_s_middleware_inside_the_application_makes_no_second_server_span(
    exporter, instrumented
):
    app = make_app()
    app.add_middleware(OpenTelemetryMiddleware, exclude_spans=["send", "receive"])
    spans = _spans_of(instrumented(app), CALLS["plain"], exporter)

    assert servers(spans) == ["GET /v1/items/{item}"]


@pytest.mark.parametrize("contrib_by", ["setting", "captured headers"])
def test_the_spans_of_contrib_can_be_asked_for(exporter, instrumented, monkeypatch, contrib_by):
    if contrib_by == "setting":
        app = instrumented(make_app(), server_spans="contrib")
    else:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "x-more")
        app = instrumented(make_app())
    exporter.clear()
    asyncio.run(call(app, CALLS["host, agent and other headers"]))
    [span] = exporter.get_finished_spans()

    assert span.name == "GET /v1/items/{item}"
    assert span.instrumentation_scope.name == "opentelemetry.instrumentation.fastapi"
    assert ("http.request.header.x_more" in span.attributes) == (contrib_by != "setting")


def test_a_maker_of_server_spans_that_nobody_knows_is_refused(monkeypatch):
    monkeypatch.setenv("WHY504_SERVER_SPANS", "ours")

    with pytest.raises(ConfigError, match="WHY504_SERVER_SPANS"):
        ProbeSettings.from_env()


def test_where_fastapi_s_own_telemetry_was_on_before_us_its_span_stays_the_only_one(
    exporter, instrumented
):
    trace.set_tracer_provider(TracerProvider())
    spans = _spans_of(instrumented(make_app()), CALLS["plain"], exporter)

    assert servers(spans) == ["GET /v1/items/{item}"]
    assert "fastapi.endpoint" in [span.name for span in spans]


def test_fastapi_s_own_telemetry_is_as_it_was_once_the_probe_is_gone(exporter, settings):
    app = make_app()
    probe = why504.instrument(app, settings=settings)
    probe._core.spans.claim()
    probe.shutdown()
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    assert servers(_spans_of(app, CALLS["plain"], exporter)) == ["GET /v1/items/{item}"]


@pytest.mark.parametrize(
    ("variable", "pattern", "spans"),
    [
        ("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "healthz, /v1/items", 0),
        ("OTEL_PYTHON_EXCLUDED_URLS", "127.0.0.1:8000/v1/.*/7$", 0),
        ("OTEL_PYTHON_EXCLUDED_URLS", "healthz", 1),
    ],
)
def test_addresses_that_are_excluded_have_no_span(
    exporter, instrumented, monkeypatch, variable, pattern, spans
):
    monkeypatch.setenv(variable, pattern)

    assert len(_spans_of(instrumented(make_app()), CALLS["plain"], exporter)) == spans


@pytest.mark.parametrize(
    ("listed", "spans", "warned"),
    [
        ("*/health", 1, ["'*/health'"]),
        ("*/health,", 1, ["'*/health'"]),
        ("*/health, /v1/items, [", 0, ["'*/health'", "'['"]),
        ("/v1/(items,things)/", 0, []),
    ],
)
def test_what_is_no_regular_expression_excludes_nothing_and_fails_no_request(
    exporter, instrumented, monkeypatch, caplog, listed, spans, warned
):
    monkeypatch.setenv("OTEL_PYTHON_EXCLUDED_URLS", listed)

    assert len(_spans_of(instrumented(make_app()), CALLS["plain"], exporter)) == spans
    told = [record.getMessage() for record in caplog.records if record.name == "why504.probe"]
    assert [text.split()[1] for text in told] == warned
    assert all("OTEL_PYTHON_EXCLUDED_URLS" in text and "write /health" in text for text in told)


def test_a_span_lasts_until_the_last_piece_was_sent(exporter, instrumented):
    app, ended_before = instrumented(make_app()), []

    async def stream() -> None:
        scope = {
            "type": "http", "method": "GET", "path": "/v1/stream", "headers": [],
            "query_string": b"", "http_version": "1.1", "scheme": "http",
        }  # fmt: skip

        async def receive() -> Any:
            await asyncio.sleep(10)

        async def send(message: Any) -> None:
            ended_before.append(len(exporter.get_finished_spans()))

        await app(scope, receive, send)

    asyncio.run(stream())

    assert set(ended_before) == {0}
    assert len(exporter.get_finished_spans()) == 1


def test_a_mounted_application_has_one_server_span_named_after_the_whole_route(
    exporter, instrumented
):
    # Under contrib there are two: `GET /inner`, and FastAPI's own for the inner application.
    [span] = _spans_of(instrumented(make_app()), Call("/inner/things/7"), exporter)

    assert (span.name, span.kind) == ("GET /inner/things/{thing}", SpanKind.SERVER)


def test_starlette_has_server_spans_too(exporter, instrumented):
    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = instrumented(Starlette(routes=[Route("/hello/{name}", hello)]))

    [span] = _spans_of(app, Call("/hello/you"), exporter)
    assert (span.name, span.kind) == ("GET /hello/{name}", SpanKind.SERVER)
    assert span.attributes["http.route"] == "/hello/{name}"


def test_a_middleware_that_copies_the_scope_does_not_hide_the_route(exporter, instrumented):
    app = make_app()

    class Copies:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(dict(scope), receive, send)

    app.add_middleware(Copies)

    [span] = _spans_of(instrumented(app), CALLS["plain"], exporter)
    assert span.name == "GET /v1/items/{item}"


@pytest.mark.parametrize("their_provider", [False, True])
def test_a_background_task_that_fails_tells_the_kind_of_its_error_alone(
    exporter, instrumented, their_provider, monkeypatch
):
    # What the instrumentor of another test has left: with it no span of ours is made.
    if (original := getattr(BackgroundTask, "_otel_original_call", None)) is not None:
        monkeypatch.setattr(BackgroundTask, "__call__", original)
        monkeypatch.delattr(BackgroundTask, "_otel_original_call")
    if their_provider:
        trace.set_tracer_provider(TracerProvider())
    app = make_app()

    @app.get("/saves")
    async def saves(tasks: BackgroundTasks) -> None:
        def save() -> None:
            raise ValueError("row ('alice@secret.example')")

        tasks.add_task(save)

    with suppress(ValueError):
        asyncio.run(call(instrumented(app), Call("/saves")))

    [span] = [one for one in exporter.get_finished_spans() if one.name == "BackgroundTask save"]
    assert "alice" not in span.to_json()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert span.attributes["error.type"] == "ValueError"
    assert span.events == ()
