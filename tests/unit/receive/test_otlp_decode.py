import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, columns, protobuf, request, span
from why504 import tables
from why504.errors import NotOtlp
from why504.receive.decode import Batch, Decoder

INT64 = st.integers(-(2**63), 2**63 - 1)
SCALARS = st.text() | st.booleans() | INT64 | st.floats(allow_nan=False) | st.none()
VALUES = st.recursive(
    SCALARS, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one, max_size=3)
)


def decode(*spans, resource=None) -> Batch:
    return Decoder().decode(protobuf(*spans, resource=resource))


def row(batch: Batch, index: int = 0) -> dict:
    return {name: values[index] for name, values in columns(batch).items()}


def test_a_span_becomes_one_row_of_the_table():
    batch = decode(
        span(
            trace_id=b"t" * 16,
            span_id=b"s" * 8,
            parent_id=b"p" * 8,
            name="GET /basket",
            kind=2,
            start_s=1,
            end_s=3,
            status=2,
            attributes={"http.route": "/basket", "http.response.status_code": 504},
        )
    )

    assert row(batch) == {
        "trace_id": b"t" * 16,
        "span_id": b"s" * 8,
        "parent_id": b"p" * 8,
        "name": "GET /basket",
        "kind": 2,
        "start_ns": T0_NS + SECOND_NS,
        "end_ns": T0_NS + 3 * SECOND_NS,
        "status": 2,
        "service": "shop",
        "instance": "shop-1",
        "record": None,
        "resource": None,
        "snapshot_of": None,
        "sequence": None,
        "http_status": 504,
        "attributes": '{"http.route":"/basket"}',
        "resource_attributes": '{"service.name":"shop","service.instance.id":"shop-1"}',
    }


@given(st.dictionaries(st.text().map(lambda key: f"app.{key}"), VALUES, max_size=5))
def test_attribute_values_survive_exactly(attributes):
    batch = decode(span(attributes=attributes))

    assert json.loads(row(batch)["attributes"]) == attributes


def test_types_that_compare_equal_stay_apart():
    batch = decode(span(attributes={"a": True, "b": 1, "c": 1.0, "d": "1", "e": -(2**63)}))

    assert row(batch)["attributes"] == f'{{"a":true,"b":1,"c":1.0,"d":"1","e":{-(2**63)}}}'


def test_not_a_number_survives():
    batch = decode(span(attributes={"a": math.nan, "b": -math.inf}))

    told = json.loads(row(batch)["attributes"])
    assert math.isnan(told["a"])
    assert told["b"] == -math.inf


def test_bytes_are_kept_as_base64():
    assert row(decode(span(attributes={"a": b"\x00\xff"})))["attributes"] == '{"a":"AP8="}'


def test_records_have_their_own_columns():
    batch = decode(
        span(
            attributes={
                "why504.kind": "wait",
                "why504.resource": "db.pool:main",
                "why504.snapshot.of": "00000000000000ff",
                "why504.snapshot.sequence": 7,
            }
        )
    )

    told = row(batch)
    assert (told["record"], told["resource"], told["snapshot_of"], told["sequence"]) == (
        "wait",
        "db.pool:main",
        b"\0\0\0\0\0\0\0\xff",
        7,
    )
    assert told["attributes"] == "{}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("http.response.status_code", "504"),
        ("http.response.status_code", True),
        ("http.response.status_code", 2**15),
        ("why504.kind", 1),
        ("why504.snapshot.of", "not hex"),
        ("why504.snapshot.of", "00ff"),
        ("why504.snapshot.of", 5),
        ("why504.snapshot.sequence", 2**31),
    ],
)
def test_a_value_that_does_not_fit_its_column_stays_an_attribute(key, value):
    told = row(decode(span(attributes={key: value})))

    assert json.loads(told["attributes"]) == {key: value}
    assert {told[c.name] for c in tables.SPANS if c.attribute} == {None}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"trace_id": b""}, "trace_id"),
        ({"trace_id": b"t" * 15}, "trace_id"),
        ({"trace_id": bytes(16)}, "trace_id"),
        ({"span_id": b"s" * 9}, "span_id"),
        ({"span_id": bytes(8)}, "span_id"),
        ({"parent_id": b"p"}, "parent_span_id"),
        ({"start_s": -T0_NS / SECOND_NS}, "times"),
        ({"end_s": 2**63 / SECOND_NS}, "times"),
    ],
)
def test_an_invalid_span_costs_its_neighbours_nothing(wrong, reason):
    batch = decode(span(name="before"), span(**wrong), span(name="after"))

    assert columns(batch)["name"] == ["before", "after"]
    assert batch.rejected == 1
    assert reason in batch.reason
    assert {len(column) for column in columns(batch).values()} == {2}


def test_a_request_of_invalid_spans_only_is_not_otlp():
    with pytest.raises(NotOtlp, match="no valid span: trace_id"):
        decode(span(trace_id=b""), span(span_id=b""))


def test_a_clock_that_was_set_back_leaves_an_interval_of_no_length():
    told = row(decode(span(start_s=5, end_s=2)))

    assert told["end_ns"] == told["start_ns"]


def test_a_parent_of_zeros_is_a_root():
    assert row(decode(span(parent_id=bytes(8))))["parent_id"] is None


def test_enum_values_of_a_later_version_are_stored_as_unspecified():
    message = request(span(kind=2))
    made = message.resource_spans[0].scope_spans[0].spans[0]
    made.kind, made.status.code = 42, 9

    told = row(Decoder().decode(message.SerializeToString()))

    assert (told["kind"], told["status"]) == (0, 0)


def test_each_resource_keeps_its_own_spans():
    message = request(span(name="a"), span(name="b"), resource={"service.name": "x"})
    message.MergeFrom(request(span(name="c"), resource={"service.name": "y"}))

    told = columns(Decoder().decode(message.SerializeToString()))

    assert list(zip(told["name"], told["service"], told["instance"], strict=True)) == [
        ("a", "x", ""),
        ("b", "x", ""),
        ("c", "y", ""),
    ]


def test_a_string_cut_in_the_middle_of_a_character_is_kept():
    body = protobuf(span(name="caf\N{LATIN SMALL LETTER E WITH ACUTE}"))

    told = row(Decoder().decode(body.replace("é".encode(), b"\xc3x")))

    assert told["name"] == "caf\N{REPLACEMENT CHARACTER}x"


def test_what_was_remembered_of_one_request_does_not_leak_into_the_next():
    decoder = Decoder()
    first = decoder.decode(protobuf(span(attributes={"a": 1, "http.response.status_code": 504})))
    second = decoder.decode(protobuf(span(attributes={"a": 1})))

    assert (row(first)["http_status"], row(second)["http_status"]) == (504, None)
    assert row(first)["attributes"] == row(second)["attributes"]


@given(st.binary(max_size=200))
def test_garbage_is_decoded_to_nothing_or_refused(garbage):
    try:
        batch = Decoder().decode(garbage)
    except NotOtlp:
        return
    assert len({len(column) for column in columns(batch).values()}) == 1


@given(st.data())
def test_a_damaged_request_is_decoded_or_refused(data):
    body = bytearray(protobuf(span(attributes={"a": [1, {"b": "c"}]}), span()))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    try:
        batch = Decoder().decode(bytes(body))
    except NotOtlp:
        return
    assert {len(column) for column in columns(batch).values()} == {len(batch)}
    for text in columns(batch)["attributes"]:
        assert isinstance(json.loads(text), dict)
