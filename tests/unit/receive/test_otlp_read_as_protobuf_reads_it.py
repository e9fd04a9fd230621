"""Fields and short strings are read by hand: whatever the bytes, as protobuf would read them."""

import json

import pytest
from google.protobuf.message import DecodeError
from hypothesis import assume, example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.unit.receive.otlp_bodies import columns, protobuf, request, span
from why504.errors import NotOtlp
from why504.receive.decode import Decoder
from why504.receive.pairs import LIFT, Pairs
from why504.receive.walk import FEW


@given(st.text(max_size=140), st.text(max_size=140))
@example("k" * 127, "v" * 125)
@example("k" * 127, "v" * 126)
@example("k" * 128, "v")
@example("", "")
@example("key", 'a"b\\c\n\x00\x7fü🦀')
def test_a_pair_of_strings_is_read_as_ever(key, value):
    assume(key not in LIFT)  # has a column of its own

    batch = Decoder().decode(protobuf(span(attributes={key: value})))

    assert json.loads(columns(batch)["attributes"][0]) == {key: value}


def of_attribute(raw: bytes) -> bytes:
    """A request of one span, whose only attribute is `raw`."""
    whole = protobuf(span())
    message = ExportTraceServiceRequest.FromString(whole)
    (told,) = message.resource_spans
    (scope,) = told.scope_spans
    inner = scope.spans[0].SerializeToString() + b"\x4a" + bytes([len(raw)]) + raw
    told.ClearField("scope_spans")
    framed = b"\x12" + _varint(len(inner)) + inner
    resource = told.SerializeToString() + b"\x12" + _varint(len(framed)) + framed
    return b"\x0a" + _varint(len(resource)) + resource


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80, number >> 7])


PIECES = st.sampled_from(
    [b"\x0a", b"\x12", b"\x18", b"\x10", b"\x21", b"\x01", b"\x02", b"\x03", b"\x04", b"a", b"\x80"]
)


@given(st.binary(max_size=40) | st.lists(PIECES, max_size=12).map(b"".join))
@example(b"\x0a\x01a\x12\x03\x0a\x01b")
@example(b"\x0a\x01a\x12\x02\x18\x01")
@example(b"\x0a\x01a\x12\x02\x18\x81")
@example(b"\x0a\x01a\x12\x03\x18\x81\x01")
@example(b"\x0a\x01a\x12\x03\x10\x81\x01")
@example(b"\x0a\x01a\x12\x09\x21" + bytes(8))
@example(b"\x0a\x01a\x12\x08\x21" + bytes(7))
@example(b"\x0a\x01a\x12\x02\x0a\x01")
def test_an_attribute_of_any_bytes_is_read_as_protobuf_would_or_refused(raw):
    try:
        expected = Pairs().known(raw)
    except DecodeError:
        with pytest.raises(NotOtlp):
            Decoder().decode(of_attribute(raw))
        return

    told = columns(Decoder().decode(of_attribute(raw)))

    if isinstance(expected, str):
        assert told["attributes"] == [f"{{{expected}}}"]
    else:
        assert (told["attributes"], told[expected[0]]) == (["{}"], [expected[1]])


def test_values_without_number_fill_no_memory():
    decoder = Decoder()
    spans = [span(attributes={"user.id": f"u-{n}", "db.system": "x"}) for n in range(6_000)]

    batch = decoder.decode(protobuf(*spans))

    assert json.loads(columns(batch)["attributes"][-1]) == {"user.id": "u-5999", "db.system": "x"}
    assert len(decoder._pairs) == 0


def told_by_protobuf(body: bytes) -> list[tuple]:
    """What OpenTelemetry's own classes read in a request, of valid spans."""
    message = ExportTraceServiceRequest.FromString(body)
    return [
        (
            one.trace_id, one.span_id, one.parent_span_id if any(one.parent_span_id) else None,
            one.name, one.kind if 0 <= one.kind <= 5 else 0,
            one.start_time_unix_nano, max(one.start_time_unix_nano, one.end_time_unix_nano),
            one.status.code if 0 <= one.status.code <= 2 else 0,
            {pair.key: pair.value.string_value for pair in one.attributes},
        )
        for told in message.resource_spans for scope in told.scope_spans for one in scope.spans
        if valid(one)
    ]  # fmt: skip


def valid(one: Span) -> bool:
    return (
        len(one.trace_id) == 16 and one.trace_id != bytes(16)
        and len(one.span_id) == 8 and one.span_id != bytes(8)
        and len(one.parent_span_id) in (0, 8)
        and 0 < one.start_time_unix_nano < 2**63 and one.end_time_unix_nano < 2**63
    )  # fmt: skip


def told_by_us(body: bytes) -> list[tuple]:
    told = columns(Decoder().decode(body))
    names = ("trace_id", "span_id", "parent_id", "name", "kind", "start_ns", "end_ns", "status")
    texts = map(json.loads, told["attributes"])
    return list(zip(*(told[name] for name in names), texts, strict=True))


SPANS = st.fixed_dictionaries(
    {},
    optional={
        "trace_id": st.binary(min_size=15, max_size=16),
        "span_id": st.binary(min_size=8, max_size=8),
        "parent_span_id": st.sampled_from([b"", bytes(8), b"p" * 8, b"p" * 7]),
        "trace_state": st.text(max_size=5) | st.just("s" * 20_000),
        "name": st.sampled_from(["", "GET /", "n" * 127, "n" * 128, "n" * 17_000, "é"]),
        "kind": st.sampled_from([0, 1, 5, 6, 127, 128, -1]),
        "start_time_unix_nano": st.integers(0, 2**64 - 1),
        "end_time_unix_nano": st.integers(0, 2**64 - 1),
        "dropped_attributes_count": st.sampled_from([1, 127, 128, 2**31]),
        "flags": st.sampled_from([1, 0x301, 2**32 - 1]),
        "status": st.sampled_from(
            [
                {},
                {"message": "m"},
                {"message": "m" * 200, "code": 2},
                {"message": "m", "code": 2},
                *({"code": code} for code in (-1, 1, 2, 300)),
            ]
        ),
        "events": st.lists(st.fixed_dictionaries({"name": st.text(max_size=4)}), max_size=3),
    },
)


@given(st.lists(SPANS, min_size=1, max_size=4), st.sampled_from([1, FEW]), st.booleans())
def test_spans_are_read_as_opentelemetry_reads_them_few_or_many_at_a_time(told, times, unknown):
    message = request(span(attributes={"a": "b"}))
    spans = message.resource_spans[0].scope_spans[0].spans
    first = Span.FromString(spans[0].SerializeToString())
    for fields in told * times:
        made = spans.add()
        made.CopyFrom(first)
        made.MergeFrom(Span(**fields))
        if unknown:
            # Field 500, field 17 and a group: of a version to come, or of somebody's own.
            made.MergeFromString(b"\xa0\x1f\x05" + b"\x8a\x01\x01x" + b"\xa3\x1f\xa4\x1f")
    body = message.SerializeToString()

    assert told_by_us(body) == told_by_protobuf(body)


@given(st.data())
def test_a_damaged_span_is_read_as_protobuf_would_or_refused(data):
    many = data.draw(st.sampled_from([1, FEW]))
    made = request(*(span(attributes={"a": "b"}, status=2) for _ in range(many)))
    spans = made.resource_spans[0].scope_spans[0].spans
    body = bytearray(made.SerializeToString())
    begin = body.index(spans[0].SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(begin, begin + spans[0].ByteSize() - 1))
        body[place] = data.draw(st.integers(0, 255))
    body = bytes(body)

    try:
        expected = told_by_protobuf(body)
    except DecodeError:
        # Strings that are no UTF-8 are read by us, and not by OpenTelemetry's own classes.
        assume(False)
    try:
        found = told_by_us(body)
    except NotOtlp:
        assert not expected
        return
    assert [row[:-1] for row in found] == [row[:-1] for row in expected]
