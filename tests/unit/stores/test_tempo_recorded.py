"""The store, and the stand-in that other tests use, against what the real Tempo 3.0.3 said."""

import json
from dataclasses import replace

import httpx
import pytest

from lab.standins.tempoindex import Tempo
from lab.standins.traceql import BadQuery, parsed
from tests.unit.receive.otlp_bodies import columns
from tests.unit.stores.tempo_served import (
    RECORDED,
    body_of,
    exchanges,
    needs_recordings,
    served,
    store_on,
)
from why504.diagnose import explain
from why504.errors import StoreUnavailable
from why504.model import Window
from why504.receive.decode import Decoder
from why504.receive.segments import Segments
from why504.stores.parquet import ParquetStore
from why504.stores.records import Row
from why504.stores.tempo import decoding

pytestmark = needs_recordings

T0_NS = 1_795_450_135_123_456_789
NOW_NS = T0_NS + 300 * 10**9
INCIDENT = Window(T0_NS - 60 * 10**9, T0_NS + 75 * 10**9)


def names_of_traces():
    return json.loads((RECORDED / "sent" / "sent.json").read_text())["traces"]


def sent_files():
    return sorted((RECORDED / "sent").glob("*.pb"))


def rows_as_received():
    """What the receiver makes of the bodies that were sent to Tempo, by trace."""
    found = {}
    for file in sent_files():
        told = columns(Decoder().decode(file.read_bytes()))
        for values in zip(*(told[name] for name in Row._fields), strict=True):
            row = Row._make(values)
            row = row._replace(attributes=json.loads(row.attributes))
            found.setdefault(row.trace_id.hex(), []).append(row)
    return found


def ordered(rows):
    return sorted(rows, key=lambda row: row.span_id)


class Replay:
    """The stand-in as time goes on: what was sent to the real one by then has come."""

    def __init__(self):
        self.now_s = 0.0
        self.tempo = Tempo(clock=lambda: self.now_s)
        self._left = json.loads((RECORDED / "sent" / "sent.json").read_text())["batches"]

    def until(self, now_s):
        while self._left and self._left[0]["sent_at_unix_s"] <= now_s:
            batch = self._left.pop(0)
            self.now_s = batch["sent_at_unix_s"]
            self.tempo.take((RECORDED / batch["file"]).read_bytes())
        if now_s - self.now_s > COMPLETED_S:
            self.tempo.settle()
        self.now_s = now_s


COMPLETED_S = 30.0
"""After which the live block is completed."""


@pytest.fixture
def tempo():
    """The stand-in with all that was sent to the real one, in the same portions."""
    replay = Replay()
    replay.until(NOW_NS / 1e9)
    return replay.tempo


# --- decoding ------------------------------------------------------------------------------------


def test_a_whole_trace_becomes_the_rows_that_the_receiver_makes():
    received = rows_as_received()
    for name, trace_id in names_of_traces().items():
        if name == "slowend":  # recorded twice, once without its end
            continue
        body = json.loads((RECORDED / f"trace-v2-{name}.json").read_bytes())
        rows = [
            r._replace(attributes=json.loads(r.attributes)) for r in decoding.rows_of_trace(body)
        ]
        assert ordered(rows) == ordered(received[trace_id]), name


def test_an_unknown_trace_has_no_rows():
    body = json.loads((RECORDED / "trace-v2-unknown.json").read_bytes())
    assert decoding.rows_of_trace(body) == []


def test_ids_of_search_results_have_all_their_digits():
    body = json.loads((RECORDED / "search-504.json").read_bytes())

    traces, named = decoding.found(body)

    known = names_of_traces()
    assert named == len(traces) == 12
    assert {one.trace_id for one in traces} >= {known["zero"], known["victim4"], known["hold1"]}
    assert {row.http_status for one in traces for row in one.rows} == {504}
    assert {row.service for one in traces for row in one.rows} == {"gateway"}


def test_what_select_returns_is_read():
    body = json.loads((RECORDED / "search-hold-select.json").read_bytes())

    rows = [row for one in decoding.found(body)[0] for row in one.rows]

    received = {row.span_id: row for rows in rows_as_received().values() for row in rows}
    assert len(rows) == 2
    for row in rows:
        true = received[row.span_id]
        for name in (
            "trace_id",
            "parent_id",
            "start_ns",
            "end_ns",
            "instance",
            "record",
            "resource",
        ):
            assert getattr(row, name) == getattr(true, name)
        assert json.loads(row.attributes).items() <= true.attributes.items()


def test_snapshots_keep_what_they_are_of():
    body = json.loads((RECORDED / "search-snapshot-select.json").read_bytes())

    rows = [row for one in decoding.found(body)[0] for row in one.rows]

    assert [(row.snapshot_of.hex(), row.sequence) for row in rows[:2]] == [
        ("71ba5e0c17a02c6a", 1),
        ("71ba5e0c17a02c6a", 2),
    ]


def test_counts_are_summed_over_series():
    assert decoding.total(json.loads((RECORDED / "metrics-instant.json").read_bytes())) == 12


# --- the stand-in --------------------------------------------------------------------------------


def comparable(body):
    """A search result without what the stand-in does not imitate, in an order of its own."""
    shown = {}
    for one in body["traces"]:
        spans = [
            {**span, "attributes": sorted(map(json.dumps, span.get("attributes", [])))}
            for span in one["spanSets"][0]["spans"]
        ]
        shown[one["traceID"]] = (
            one["startTimeUnixNano"],
            one["durationMs"],
            one["rootServiceName"],
            one["spanSets"][0]["matched"],
            sorted(spans, key=lambda span: span["spanID"]),
        )
    return shown


def is_known(query):
    try:
        parsed(query)
    except BadQuery:
        return False
    return True


NOT_IMITATED = {
    # Other servers, and another tenant.
    "search-429.txt", "search-no-tenant.txt", "search-other-tenant.json",
    # Any 4 traces: which ones is chance.
    "search-504-page1.json", "search-504-page2-end-moved.json",
    # No range, and a live store that is not asked.
    "search-504-no-range.json", "search-10h-window-before-end.json", "search-only-start.txt",
    # Whole blocks and the late end: another moment.
    "search-504-whole.json", "search-slow-end-by-id.json", "search-slow-end-wait.json",
    "search-zero-id-whole.json",
    # Any 2 of 3 spans.
    "search-spss-2.json",
    # Its text differs in where the error is.
    "search-bad-traceql.txt",
    "search-metrics-query.txt", "search-method-delete.json", "search-nil.json",
    "search-nil-whole.json", "search-nil-with-kind-wrong.json", "search-nil-with-kind-whole.json",
}  # fmt: skip


def test_the_stand_in_answers_searches_as_the_server_did():
    compared, replay = [], Replay()
    for exchange in exchanges():
        file, query = exchange["file"], dict(map(tuple, exchange["query"])).get("q", "")
        searches = exchange["path"] == "/api/search" and file not in NOT_IMITATED
        if not searches or (exchange["status"] == 200 and not is_known(query)):
            continue
        replay.until(exchange["sent_at"])
        told = replay.tempo.answer(exchange["target"], {})
        compared.append(file)
        assert told.status == exchange["status"], file
        if exchange["status"] == 200:
            assert comparable(json.loads(told.body)) == comparable(json.loads(body_of(exchange))), (
                file
            )
        else:
            assert told.body == body_of(exchange), file
    assert {
        "search-504.json",
        "search-hold-select.json",
        "search-snapshot-select.json",
        "search-10h-last-10-min.json",
        "search-504-most-recent-page1.json",
        "search-504-most-recent-page4.json",
        "search-limit-too-large.txt",
        "search-over-max-duration.txt",
        "search-duration.json",
    } <= set(compared)
    assert len(compared) >= 18, compared


def test_the_stand_in_tells_whole_traces_as_the_server_did(tempo):
    for name, trace_id in names_of_traces().items():
        if name == "slowend":
            continue
        recorded = json.loads((RECORDED / f"trace-v2-{name}.json").read_bytes())
        told = json.loads(tempo.answer(f"/api/v2/traces/{trace_id}", {}).body)
        assert plain(told) == plain(recorded), name


def plain(body):
    """Rows of a whole trace, whatever the order of spans and of their attributes."""
    rows = decoding.rows_of_trace(body)
    return ordered([row._replace(attributes=json.loads(row.attributes)) for row in rows])


# --- the store -----------------------------------------------------------------------------------


def test_trace_by_trace_the_recorded_server_is_read_to_the_end():
    by_target = {}
    for exchange in exchanges():
        if exchange["method"] == "GET":
            by_target.setdefault(exchange["target"], exchange)

    def answer(request):
        exchange = by_target[request.url.raw_path.decode()]
        return httpx.Response(exchange["status"], content=body_of(exchange))

    store = store_on(answer, now_ns=NOW_NS)
    told = store.trace(names_of_traces()["victim1"])

    assert {wait.outcome for wait in told.waits} == {"timeout"}
    assert len(told.spans) == 3
    assert store.trace("ab" * 16).spans == ()


def test_the_recorded_incident_is_the_same_evidence_as_in_the_embedded_store(tempo, tmp_path):
    segments = Segments(tmp_path / "segments")
    for number, file in enumerate(sent_files()):
        segments.write(f"{number:04}", [Decoder().decode(file.read_bytes())])
    embedded = ParquetStore(tmp_path).evidence(INCIDENT)

    told = served(tempo, now_ns=NOW_NS).sample(INCIDENT)

    assert told.sample is None
    assert replace(told, heard_ns={}, settled_ns=None) == replace(embedded, heard_ns={})
    assert len(told.spans) == 49
    assert len(told.holds) == 3
    (incident,) = explain(told)
    (expected,) = explain(embedded)
    assert replace(incident, caveats=()) == replace(expected, caveats=())
    assert incident.count == 12


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("search-no-tenant.txt", "WHY504_TEMPO_TENANT"),
        ("search-429.txt", "busy"),
        ("search-bad-traceql.txt", "unexpected }"),
        ("search-over-max-duration.txt", "168h"),
        ("unknown-path.txt", "look at the address"),
    ],
)
def test_recorded_refusals_become_sentences(file, says):
    (exchange,) = [one for one in exchanges() if one["file"] == file]
    store = store_on(
        lambda _: httpx.Response(exchange["status"], content=body_of(exchange)), now_ns=NOW_NS
    )

    with pytest.raises(StoreUnavailable, match=says):
        store.sample(INCIDENT)
