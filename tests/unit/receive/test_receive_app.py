import gzip
import json
from pathlib import Path

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from prometheus_client import CollectorRegistry, Histogram

from tests.unit.receive.otlp_bodies import protobuf, span
from why504.errors import StoreUnavailable
from why504.receive.app import create_app
from why504.receive.spool import Spool
from why504.stores.parquet import ParquetStore

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
LIMIT = 20_000
RECORDED = Path(__file__).parents[4] / "shared" / "data" / "recorded"


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path, flush_every_s=3600)
    yield spool
    spool.close()


@pytest.fixture
async def client(spool):
    transport = httpx.ASGITransport(app=create_app(spool, body_limit=LIMIT))
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        yield client


async def test_protobuf_is_acknowledged_and_stored(client, spool, tmp_path):
    answer = await client.post("/v1/traces", content=protobuf(span(name="a")), headers=PROTOBUF)
    spool.close()

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert not ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans
    store = ParquetStore(tmp_path)
    assert [one.name for one in store.evidence(store.extent()).spans] == ["a"]


async def test_json_is_answered_in_json(client):
    answer = await client.post(
        "/v1/traces", content=b"{}", headers={"content-type": "application/json; charset=utf-8"}
    )

    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-type"] == "application/json"


async def test_an_empty_request_is_fine(client):
    assert (await client.post("/v1/traces", headers=PROTOBUF)).status_code == 200


async def test_some_invalid_spans_are_a_partial_success(client):
    body = protobuf(span(), span(span_id=b"short"), span(trace_id=b""))

    answer = await client.post("/v1/traces", content=body, headers=PROTOBUF)

    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_spans) == (200, 2)
    assert "span_id" in told.error_message


@pytest.mark.parametrize(
    ("headers", "body", "status", "reason"),
    [
        (PROTOBUF, b"garbage", 400, "not an ExportTraceServiceRequest"),
        (PROTOBUF, protobuf(span())[:-5], 400, "not an ExportTraceServiceRequest"),
        (PROTOBUF, b'{"resourceSpans": []}', 400, "not an ExportTraceServiceRequest"),
        (PROTOBUF, protobuf(span(trace_id=b"")), 400, "no valid span"),
        (PROTOBUF | {"content-encoding": "gzip"}, b"not gzip", 400, "content-encoding is gzip"),
        (PROTOBUF | {"content-encoding": "br"}, b"x", 400, "content-encoding 'br' is unknown"),
        (PROTOBUF, bytes(LIMIT + 1), 413, "larger than 20000 bytes"),
        (
            PROTOBUF | {"content-encoding": "gzip"},
            gzip.compress(bytes(LIMIT + 1), mtime=0),  # its name must not change by the second
            413,
            "larger than 20000 bytes",
        ),
        (JSON, b"garbage", 400, "not OTLP/JSON"),
        (JSON, b'{"resourceSpans": [{"scopeSpans": [{"spans": ["text"]}]}]}', 400, "no valid span"),
        (JSON, protobuf(span()), 400, "not OTLP/JSON"),
        (JSON, bytes(LIMIT + 1), 413, "larger than 20000 bytes"),
    ],
)
async def test_what_can_not_be_stored_is_refused_with_a_reason(
    client, headers, body, status, reason
):
    answer = await client.post("/v1/traces", content=body, headers=headers)

    assert answer.status_code == status
    assert answer.headers["content-type"] == headers["content-type"]
    message = (
        answer.json()["message"] if headers is JSON else Status.FromString(answer.content).message
    )
    assert reason in message
    assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/traces", {"content-type": "text/plain"}, 415),
        ("POST", "/v1/traces", {}, 415),
        ("GET", "/v1/traces", {}, 405),
        ("POST", "/healthz", {}, 405),
        ("POST", "/v1/metrics", PROTOBUF, 404),
        ("POST", "/v1/logs", PROTOBUF, 404),
        ("GET", "/", {}, 404),
    ],
)
async def test_other_requests_are_refused_in_plain_text(client, method, path, headers, status):
    answer = await client.request(method, path, headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "text/plain; charset=utf-8",
    )
    assert answer.text


@pytest.mark.parametrize("headers", [PROTOBUF, JSON])
async def test_a_disk_that_refuses_is_told_as_retryable(client, tmp_path, headers):
    (tmp_path / "wal").rmdir()
    body = protobuf(span())
    if headers is JSON:
        ids = {"traceId": "ab" * 16, "spanId": "cd" * 8, "startTimeUnixNano": "5"}
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [ids]}]}]}).encode()

    refused = await client.post("/v1/traces", content=body, headers=headers)
    health = await client.get("/healthz")
    (tmp_path / "wal").mkdir()

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "can't write evidence" in refused.text
    assert health.status_code == 503
    assert (await client.post("/v1/traces", content=body, headers=headers)).status_code == 200
    assert (await client.get("/healthz")).status_code == 200


async def test_a_stopping_receiver_says_so(client, spool):
    spool.close()

    answer = await client.post("/v1/traces", content=protobuf(span()), headers=PROTOBUF)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


DIFFERS = {
    "too-large.bin": 413,  # the collector says 400, the specification nothing: 413 says why
    "too-large-gzip.bin": 413,
}


def recorded() -> list[dict]:
    index = RECORDED / "collector" / "exchanges.jsonl"
    if not index.exists():
        return []
    told = [json.loads(line) for line in index.read_text().splitlines()]
    return [one for one in told if not _of_backend(one)]


def _of_backend(exchange: dict) -> bool:
    return exchange["status"] in (429, 503) or "backend" in json.dumps(exchange)


@pytest.mark.skipif(not recorded(), reason="the recordings are not part of the repository")
async def test_every_recorded_request_is_answered_as_the_collector_answers(client):
    wrong = []
    for one in recorded():
        file = one.get("request_file")
        body = (RECORDED / "collector" / file).read_bytes() if file else b""
        headers = {k: v for k, v in dict(one["request_headers"]).items() if k.lower() != "host"}
        answer = await client.request(one["method"], one["target"], content=body, headers=headers)
        expected = DIFFERS.get(Path(one["file"]).name, one["status"])
        if answer.status_code != expected:
            wrong.append((one["file"], answer.status_code, expected, answer.text))

    assert wrong == []


def test_a_future_is_never_left_waiting_after_close(spool):
    spool.close()

    with pytest.raises(StoreUnavailable):
        spool.add(b"", None)


async def test_prometheus_gets_exemplars_and_people_get_text(spool):
    registry = CollectorRegistry()
    counted = Histogram("some_seconds", "Of some.", registry=registry)
    counted.observe(1.0, {"trace_id": "9f3c"})
    app = create_app(spool, registry=registry)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        plain = await client.get("/metrics")
        asked = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        told = await client.get("/metrics", headers=asked)

    assert plain.headers["content-type"].startswith("text/plain")
    assert "trace_id" not in plain.text
    assert told.headers["content-type"].startswith("application/openmetrics-text")
    assert '# {trace_id="9f3c"} 1.0' in told.text


async def test_what_came_and_what_was_refused_is_counted(client):
    at_first = (await client.get("/metrics")).text
    await client.post("/v1/traces", content=protobuf(span(), span(trace_id=b"")), headers=PROTOBUF)
    await client.post("/v1/traces", content=b"\xff", headers=PROTOBUF)
    await client.post("/v1/traces", content=b"x" * (LIMIT + 1), headers=PROTOBUF)
    told = (await client.get("/metrics")).text

    assert "why504_receiver_spans_total 0.0" in at_first
    assert 'why504_receiver_failed_requests_total{reason="unavailable"} 0.0' in at_first
    assert "why504_receiver_spans_total 1.0" in told
    assert "why504_receiver_rejected_spans_total 1.0" in told
    assert 'why504_receiver_failed_requests_total{reason="invalid"} 1.0' in told
    assert 'why504_receiver_failed_requests_total{reason="too_large"} 1.0' in told
