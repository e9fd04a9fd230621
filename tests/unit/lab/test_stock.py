import httpx
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lab.stock import Beside, instrument_asgi, instrument_sqlalchemy

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def stock(exporter):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield Beside(provider)
    provider.shutdown()


async def ask(app):
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
        return await client.post("/v1/x", json={"a": 1}, headers=headers)


async def test_the_stock_middleware_tells_the_request_under_the_gateways_trace(stock, exporter):
    seen = []

    async def app(scope, receive, send):
        seen.append(trace.get_current_span())
        await receive()
        seen.append(trace.get_current_span())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    answer = await ask(instrument_asgi(app, stock))

    spans = exporter.get_finished_spans()
    assert answer.text == "ok"
    assert {format(span.context.trace_id, "032x") for span in spans} == {TRACE_ID}
    assert [span.kind.name for span in spans].count("SERVER") == 1
    assert len(spans) >= 3, "the request, its body, and its answer"
    assert seen == [trace.INVALID_SPAN, trace.INVALID_SPAN], "ours must not become its children"


async def test_a_request_that_never_ends_has_no_stock_span_of_its_own(stock, exporter):
    async def app(scope, receive, send):
        await receive()
        told.append([span.kind.name for span in exporter.get_finished_spans()])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    told: list[list[str]] = []
    await ask(instrument_asgi(app, stock))

    assert told == [["INTERNAL"]]


def test_stock_statement_spans_do_not_become_the_current_span(stock, exporter):
    instrument_sqlalchemy(stock)
    try:
        import sqlalchemy

        engine = sqlalchemy.create_engine("sqlite://")
        current = []
        sqlalchemy.event.listen(engine, "connect", lambda *_: current.append(_current()))
        sqlalchemy.event.listen(
            engine, "before_cursor_execute", lambda *_: current.append(_current())
        )
        mine = TracerProvider().get_tracer("ours")
        with mine.start_as_current_span("request") as request, engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        engine.dispose()
    finally:
        SQLAlchemyInstrumentor().uninstrument()

    assert current == [request.get_span_context().span_id] * 2
    parents = {s.parent and s.parent.span_id for s in exporter.get_finished_spans()}
    assert {span.name.split()[0] for span in exporter.get_finished_spans()} == {"connect", "SELECT"}
    assert parents == {request.get_span_context().span_id}


def _current() -> int:
    return trace.get_current_span().get_span_context().span_id
