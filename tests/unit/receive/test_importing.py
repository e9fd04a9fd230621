"""Files of other tracers: what is stored of them, and what is said of those that can't be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from why504.cli import app
from why504.diagnose import explain
from why504.errors import UnknownFormat
from why504.model import Span
from why504.receive.importing import import_file
from why504.receive.segments import KEEP_ALL
from why504.receive.spool import Spool
from why504.stores.parquet import ParquetStore

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "import"
T_US = 1_500_000_000_000_000
TRACE = "5af7183fb1d4cf5f"


def read(tmp_path, document, name="traces.json"):
    """Import a document; return what was said of it and what is stored, by span name."""
    file = tmp_path / name
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    spool = Spool(tmp_path / "store", retention=KEEP_ALL)
    try:
        imported = import_file(file, spool)
    finally:
        spool.close()
    store = ParquetStore(tmp_path / "store")
    extent = store.extent()
    spans = store.evidence(extent).spans if extent else []
    return imported, {span.name: span for span in spans}


def jaeger(**changes):
    spans = [
        {
            "traceID": TRACE, "spanID": "a1", "operationName": "GET /x", "references": [],
            "startTime": T_US, "duration": 5000, "processID": "p1",
            "tags": [
                {"key": "span.kind", "type": "string", "value": "server"},
                {"key": "http.status_code", "type": "int64", "value": 200},
                {"key": "big", "type": "int64", "value": "9007199254740993"},
            ],
        },
        {
            "traceID": TRACE, "spanID": "b2", "operationName": "later", "startTime": T_US + 10,
            "references": [
                {"refType": "CHILD_OF", "traceID": "ff", "spanID": "ee"},
                {"refType": "FOLLOWS_FROM", "traceID": TRACE, "spanID": "a1"},
            ],
            "duration": 7, "processID": "p1",
            "tags": [{"key": "error", "type": "bool", "value": True}],
        },
    ]  # fmt: skip
    process = {"serviceName": "shop", "tags": [{"key": "hostname", "value": "h1"}]}
    return {"data": [{"traceID": TRACE, "spans": spans, "processes": {"p1": process}}], **changes}


def test_jaegers_json_is_read(tmp_path):
    imported, spans = read(tmp_path, jaeger())

    assert (imported.format, imported.spans, imported.rejected) == ("Jaeger JSON", 2, 0)
    served, later = spans["GET /x"], spans["later"]
    assert served.trace_id == TRACE.rjust(32, "0")
    assert (served.kind, served.service, served.instance) == ("server", "shop", "h1")
    assert served.start_ns == T_US * 1000
    assert served.end_ns == T_US * 1000 + 5_000_000
    assert served.attributes["http.status_code"] == 200
    assert served.attributes["big"] == 9007199254740993
    assert later.parent_id == served.span_id
    assert later.attributes["opentracing.ref_type"] == "follows_from"
    assert later.status == "error"


def test_a_bare_trace_of_jaeger_with_ids_that_are_none(tmp_path):
    trace = jaeger()["data"][0]
    trace["spans"][0]["spanID"] = "span-A"
    trace["spans"][1]["references"] = [{"refType": "CHILD_OF", "spanID": "span-A"}]

    _, spans = read(tmp_path, trace)

    assert spans["later"].parent_id == spans["GET /x"].span_id


def zipkin(**changes):
    call = {
        "traceId": TRACE, "id": "c1", "parentId": "a1", "name": "call", "kind": "CLIENT",
        "timestamp": T_US + 100, "duration": 900, "localEndpoint": {"serviceName": "web"},
        "remoteEndpoint": {"serviceName": "shop", "port": 80},
        "tags": {"http.status_code": "500", "error": ""},
    }  # fmt: skip
    return {**call, **changes}


def test_both_halves_of_a_zipkin_call_are_told_apart(tmp_path):
    server = zipkin(
        kind="SERVER", shared=True, name="serve", timestamp=T_US + 200, duration=700,
        localEndpoint={"serviceName": "shop"}, tags={},
    )  # fmt: skip
    query = zipkin(
        id="d1", parentId="c1", name="query", timestamp=T_US + 300, duration=50,
        localEndpoint={"serviceName": "shop"},
    )  # fmt: skip
    local = zipkin(id="e1", parentId="c1", name="local", kind=None)

    imported, spans = read(tmp_path, [server, query, zipkin(), local])

    assert (imported.format, imported.spans) == ("Zipkin v2", 4)
    assert spans["serve"].parent_id == spans["call"].span_id == "c1".rjust(16, "0")
    assert spans["query"].parent_id == spans["serve"].span_id
    assert spans["local"].parent_id == spans["call"].span_id
    assert spans["call"].status == "error"
    assert spans["call"].attributes["http.status_code"] == 500
    assert spans["call"].attributes["server.address"] == "shop"


def test_a_piece_without_a_time_is_put_to_the_rest_of_it(tmp_path):
    piece = {"traceId": TRACE, "id": "c1", "tags": {"more": "yes"}}
    alone = {"traceId": TRACE, "id": "f1", "name": "never"}

    imported, spans = read(tmp_path, [zipkin(), piece, alone])

    assert spans["call"].attributes["more"] == "yes"
    assert imported.spans == 1
    assert imported.rejected == 1
    assert "times" in imported.reason


def otlp(name="one", span_id="b" * 16, trace_id="a" * 32):
    span = {
        "traceId": trace_id, "spanId": span_id, "name": name, "kind": 2,
        "startTimeUnixNano": str(T_US * 1000), "endTimeUnixNano": str(T_US * 1000 + 5),
    }  # fmt: skip
    return [{"resource": {}, "scopeSpans": [{"spans": [span]}]}]


@pytest.mark.parametrize(
    "document",
    [
        {"resourceSpans": otlp()},
        {"batches": otlp(span_id="u7u7u7u7u7s=", trace_id="qqqqqqqqqqqqqqqqqqqqqg==")},
        {"trace": {"resourceSpans": otlp()}},
    ],
    ids=["a request", "Tempo's first API", "Tempo's second API"],
)
def test_otlp_is_read_as_it_is_written_to_files(tmp_path, document):
    imported, spans = read(tmp_path, document)

    assert (imported.format, imported.spans) == ("OTLP/JSON", 1)
    assert (spans["one"].trace_id, spans["one"].span_id) == ("a" * 32, "b" * 16)


def test_a_request_a_line_is_read_as_the_collector_writes_it(tmp_path):
    lines = [json.dumps({"resourceSpans": otlp(n, n * 16)}) for n in ("c", "d")]

    imported, spans = read(tmp_path, "\n".join(lines) + "\n")

    assert imported.spans == 2
    assert set(spans) == {"c", "d"}


def test_again_is_no_span_more(tmp_path):
    read(tmp_path, jaeger())
    _, spans = read(tmp_path, jaeger())

    assert len(spans) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1 is no JSON"),
        ("[]", "no traces"),
        ('{"spans": 3}', "no traces"),
        ('[{"traceId": "a"}]', "no traces"),
        ('{"resourceSpans": []}\nnot json', "line 2"),
        (
            '{"data": [{"spans": [{"startTime": "yesterday"}], "processes": {}}]}',
            "Jaeger JSON, but",
        ),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_can_not_be_read_is_said_with_what_to_do(tmp_path, text, said):
    with pytest.raises(UnknownFormat, match=said):
        read(tmp_path, text)


def test_a_file_that_can_not_be_read_keeps_no_other_back(tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(jaeger()))
    bad.write_text("{}")
    store = tmp_path / "store"

    done = CliRunner().invoke(app, ["import", str(bad), str(good), "--store", str(store)])

    assert done.exit_code == 2
    assert "good.json: Jaeger JSON, 2 spans in 1 traces of 1 services" in done.output
    assert "bad.json" in done.output
    told = CliRunner().invoke(
        app, ["explain", "--store", str(store), "--last", "all", "--slower-than", "1ms"]
    )
    assert told.exit_code == 0
    assert "GET /x" in told.output


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples are not part of the repository")
def test_traces_of_others_are_stored_whole(tmp_path):
    spool = Spool(tmp_path / "store", retention=KEEP_ALL)
    count, refused = 0, []
    try:
        for file in sorted(SAMPLES.rglob("*.json")):
            try:
                imported = import_file(file, spool)
            except UnknownFormat:
                refused.append(file.name)
                continue
            count += imported.spans
            assert imported.rejected == 0, (file.name, imported.reason)
    finally:
        spool.close()

    # Logs, metrics, and three inner formats of Jaeger that nobody exports.
    assert len(refused) == 6
    store = ParquetStore(tmp_path / "store")
    evidence = store.evidence(store.extent())
    assert len(evidence.spans) > 1000
    for incident in explain(evidence, slower_than_s=0.01):
        assert incident.blame_in_s == pytest.approx(incident.blame_out_s, abs=1e-6)
    assert all(isinstance(span, Span) for span in evidence.spans)
