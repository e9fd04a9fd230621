import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from why504 import names
from why504.model import Evidence, Hold, Site, Span, Stall, Wait, Window
from why504.stores.records import Row, evidence

WINDOW = Window(0, 1000)
TRACE, SPAN, PARENT = b"t" * 16, b"s" * 8, b"p" * 8


def row(**given) -> Row:
    told = {
        "trace_id": TRACE,
        "span_id": SPAN,
        "parent_id": PARENT,
        "name": "GET /",
        "kind": 2,
        "start_ns": 10,
        "end_ns": 20,
        "status": 0,
        "service": "shop",
        "instance": "shop-1",
        "record": None,
        "resource": None,
        "snapshot_of": None,
        "sequence": None,
        "http_status": None,
        "attributes": "{}",
    }
    return Row(**(told | given))


def snapshot(sequence: int, **given) -> Row:
    attributes = '{"why504.keep":true,"why504.snapshot.parent":"7070707070707070"}'
    return row(
        **{
            "span_id": bytes([sequence]) * 8,
            "parent_id": SPAN,
            "name": "snapshot GET /",
            "kind": 1,
            "record": names.SNAPSHOT,
            "snapshot_of": SPAN,
            "sequence": sequence,
            "end_ns": 10 + sequence,
            "attributes": attributes,
        }
        | given
    )


def place(line: int, stack: str = "") -> str:
    return (
        f'{{"code.file.path":"a.py","code.line.number":{line},'
        f'"code.function.name":"f","code.stacktrace":"{stack}"}}'
    )


def merged(*rows: Row) -> Evidence:
    return evidence(rows, WINDOW, {})


def the_span(*rows: Row) -> Span:
    (span,) = merged(*rows).spans
    return span


def test_a_final_span_is_told_whole():
    told = the_span(row(status=2, http_status=504, attributes='{"http.route":"/"}'))

    assert told == Span(
        trace_id=TRACE.hex(),
        span_id=SPAN.hex(),
        parent_id=PARENT.hex(),
        name="GET /",
        kind="server",
        start_ns=10,
        end_ns=20,
        last_seen_ns=20,
        service="shop",
        instance="shop-1",
        status="error",
        attributes={"http.route": "/", "http.response.status_code": 504},
    )


def test_what_has_snapshots_only_is_open_with_its_own_id_parent_and_name():
    attributes = (
        '{"why504.keep":true,"why504.snapshot.parent":"7070707070707070","http.route":"/",'
        '"why504.inflight.age_seconds":1.5,"why504.waiting.on":"db.pool:main",'
        '"code.file.path":"a.py","code.line.number":4,"code.function.name":"f",'
        '"code.stacktrace":"deep"}'
    )

    told = the_span(snapshot(1), snapshot(2, attributes=attributes))

    assert told == Span(
        trace_id=TRACE.hex(),
        span_id=SPAN.hex(),
        parent_id=PARENT.hex(),
        name="GET /",
        kind="server",
        start_ns=10,
        end_ns=None,
        last_seen_ns=12,
        service="shop",
        instance="shop-1",
        attributes={"http.route": "/", "why504.waiting.on": "db.pool:main"},
        site=Site("a.py", 4, "f"),
        stack="deep",
    )


def test_an_open_root_has_no_parent():
    assert the_span(snapshot(1, attributes='{"why504.snapshot.parent":""}')).parent_id is None


def test_the_final_wins_over_every_snapshot_but_learns_where_it_was_blocked():
    told = the_span(
        snapshot(2, attributes=place(2, "second")), row(), snapshot(1, attributes=place(1, "first"))
    )

    assert (told.end_ns, told.name, told.kind) == (20, "GET /", "server")
    assert (told.site, told.stack) == (Site("a.py", 2, "f"), "second")
    assert told.attributes == {}


def test_the_final_learns_what_its_thread_used_which_only_snapshots_tell():
    busy = place(2).replace("{", '{"why504.thread.cpu_share":0.5,', 1)

    told = the_span(snapshot(2, attributes=busy), row(attributes='{"http.route":"/"}'))

    assert told.attributes == {names.THREAD_CPU_SHARE: 0.5, "http.route": "/"}


def test_a_later_snapshot_without_a_place_does_not_hide_an_earlier_one():
    told = the_span(snapshot(1, attributes=place(1)), snapshot(2))

    assert (told.site, told.last_seen_ns) == (Site("a.py", 1, "f"), 12)


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ('{"why504.snapshot.kind":"producer","http.route":"/"}', "producer"),
        ('{"why504.snapshot.kind":"nonsense"}', "internal"),
        ('{"http.route":"/"}', "server"),
        ('{"http.request.method":"GET","db.system.name":"postgresql"}', "client"),
        ('{"gen_ai.system":"groq"}', "client"),
        ("{}", "internal"),
    ],
)
def test_an_open_span_has_the_kind_that_its_attributes_tell(attributes, kind):
    assert the_span(snapshot(1, attributes=attributes)).kind == kind


@pytest.mark.parametrize(("kind", "model"), [("wait", Wait), ("hold", Hold), ("stall", Stall)])
def test_records_are_told_open_and_final(kind, model):
    def record(**given) -> Row:
        attributes = '{"why504.outcome":"open","thread.id":7,' + place(3, "now")[1:]
        return row(**{"record": kind, "resource": "db.pool:main", "attributes": attributes} | given)

    open_row = record(span_id=b"1" * 8, snapshot_of=SPAN, sequence=1, end_ns=15)
    final_row = record(attributes='{"why504.outcome":"released","why504.keep":true}')
    common = {
        "trace_id": TRACE.hex(),
        "span_id": SPAN.hex(),
        "parent_id": PARENT.hex(),
        "resource": "db.pool:main",
        "start_ns": 10,
        "service": "shop",
        "instance": "shop-1",
        "site": Site("a.py", 3, "f"),
        "stack": "now",
    }

    still_open, ended = merged(open_row), merged(open_row, final_row)

    assert [*still_open.waits, *still_open.holds, *still_open.stalls] == [
        model(**common, end_ns=None, last_seen_ns=15, outcome="open", attributes={"thread.id": 7})
    ]
    assert [*ended.waits, *ended.holds, *ended.stalls] == [
        model(**common, end_ns=20, last_seen_ns=20, outcome="released", attributes={})
    ]
    assert not still_open.spans
    assert not ended.spans


def test_a_hold_keeps_where_it_was_taken_over_what_a_snapshot_saw():
    hold = {"record": "hold", "resource": "db.pool:main"}

    (told,) = merged(
        row(**hold, attributes=place(1, "taken")),
        snapshot(1, **hold, attributes=place(9, "later")),
    ).holds

    assert (told.site, told.stack) == (Site("a.py", 1, "f"), "taken")


def test_the_same_span_id_in_two_traces_is_two_spans():
    assert len(merged(row(), row(trace_id=b"u" * 16)).spans) == 2


def test_a_snapshot_that_tells_of_nothing_is_no_evidence():
    assert merged(row(record=names.SNAPSHOT)) == Evidence(WINDOW, [], [], [], [], {}, [])


def test_a_record_without_resource_is_a_span():
    assert the_span(row(record="wait")).name == "GET /"


def test_maps_and_absent_values_become_what_the_model_can_hold():
    text = '{"map":{"a":[1]},"none":null,"mixed":[{"a":1}],"list":["a","b"],"text":"null"}'

    assert the_span(row(attributes=text)).attributes == {
        "map": '{"a": [1]}',
        "mixed": '[{"a": 1}]',
        "list": ["a", "b"],
        "text": "null",
    }


@st.composite
def any_row(draw) -> Row:
    record = draw(st.sampled_from([None, "wait", "hold"]))
    span_id = bytes([draw(st.integers(1, 3))]) * 8
    told = {
        "end_ns": 10 + draw(st.integers(0, 3)),
        "resource": "db.pool:main" if record else None,
        "attributes": draw(st.sampled_from(["{}", place(1), place(2)])),
    }
    if draw(st.booleans()):
        return row(**told, span_id=span_id, record=record)
    sequence = draw(st.integers(1, 3))
    return snapshot(sequence, **told, snapshot_of=span_id, record=record or names.SNAPSHOT)


@given(st.lists(any_row(), max_size=12), st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_arrivals_gives_the_same_evidence(rows, chance: random.Random):
    again = rows + chance.sample(rows, len(rows) // 2)
    chance.shuffle(again)

    assert merged(*again) == merged(*rows)
