import base64
import gzip
import json
import zlib
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.receive import otlp_bodies
from tests.unit.receive.otlp_bodies import protobuf, request, span
from why504.errors import NotOtlp, TooLarge
from why504.receive.body import protobuf_from_json, unpacked
from why504.receive.decode import Decoder

ATTRIBUTES = {
    "text": "é\u0000\n",
    "yes": True,
    "whole": 2**63 - 1,
    "real": 0.1,
    "list": ["a", "b"],
    "map": {"a": [1, 2.5]},
    "bytes": b"\x00\x01",
    "http.response.status_code": 504,
}


def otlp_json(*spans, snake_case: bool = False) -> dict:
    """OTLP/JSON is ProtoJSON with hex ids."""
    told = MessageToDict(
        request(*spans), preserving_proto_field_name=snake_case, use_integers_for_enums=True
    )
    resource = told["resource_spans" if snake_case else "resourceSpans"][0]
    for one in resource["scope_spans" if snake_case else "scopeSpans"][0]["spans"]:
        for key in [key for key in one if key.lower().endswith("id")]:
            one[key] = base64.b64decode(one[key]).hex()
    return told


def first_span(body: dict) -> dict:
    return body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]


def columns(body: bytes) -> dict:
    return otlp_bodies.columns(Decoder().decode(body))


@pytest.mark.parametrize("snake_case", [False, True])
def test_json_and_protobuf_give_the_same_rows(snake_case):
    spans = [span(parent_id=b"p" * 8, attributes=ATTRIBUTES), span(kind=3, status=2)]

    told = protobuf_from_json(json.dumps(otlp_json(*spans, snake_case=snake_case)).encode())

    assert columns(told) == columns(protobuf(*spans))


def test_json_numbers_enum_names_upper_case_ids_and_unknown_fields_are_read():
    one = span(trace_id=b"\xab" * 16, kind=2)
    body = otlp_json(one)
    told = first_span(body)
    told["startTimeUnixNano"] = int(told["startTimeUnixNano"])
    told["kind"] = "SPAN_KIND_SERVER"
    told["traceId"] = told["traceId"].upper()
    told["invented"] = body["new"] = {"later": [1]}

    assert columns(protobuf_from_json(json.dumps(body).encode())) == columns(protobuf(one))


@pytest.mark.parametrize(
    "wrong", ["", "zz" * 16, "ab", None, 5, base64.b64encode(b"i" * 16).decode()]
)
def test_a_json_id_that_is_not_hex_costs_only_its_own_span(wrong):
    body = otlp_json(span(name="bad"), span(name="good"))
    first_span(body)["traceId"] = wrong

    batch = Decoder().decode(protobuf_from_json(json.dumps(body).encode()))

    assert (otlp_bodies.columns(batch)["name"], batch.rejected) == (["good"], 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"resourceSpans": 5}',
        b'{"resourceSpans": {"scopeSpans": []}}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 5}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\\ud800"}]}]}]}',
        b'{"resourceSpans": ' + b"[" * 100_000,
        b'{"resourceSpans": [{"resource": {"attributes": [' + b'{"value":' * 500 + b"1}" * 500,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_json_that_is_not_otlp_is_refused_with_a_reason(body):
    with pytest.raises(NotOtlp, match="not OTLP/JSON: "):
        protobuf_from_json(body)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda one: (
        st.lists(one, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceSpans", "scopeSpans", "spans", "traceId", "attributes", "name"]
            ),
            one,
            max_size=3,
        )
    ),
)


@given(JSON_VALUES)
def test_any_json_is_read_or_refused(value):
    try:
        batch = Decoder().decode(protobuf_from_json(json.dumps(value).encode()))
    except NotOtlp:
        return
    assert len(batch) == 0


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("", b"abc"),
        ("identity", b"abc"),
        ("gzip", gzip.compress(b"abc", mtime=0)),
        ("deflate", zlib.compress(b"abc")),
    ],
)
def test_every_encoding_is_unpacked(encoding, packed):
    assert unpacked(packed, encoding, 100) == b"abc"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("br", b"abc"),
        ("gzip", b"abc"),
        ("gzip", b""),
        ("gzip", gzip.compress(b"abc" * 1000, mtime=0)[:-9]),
        ("gzip", gzip.compress(b"abc", mtime=0) + b"more"),
        ("gzip", gzip.compress(b"abc", mtime=0)[:-8] + b"wrongcrc"),
        ("deflate", gzip.compress(b"abc", mtime=0)),
    ],
)
def test_a_body_that_is_not_what_its_encoding_says_is_refused(encoding, packed):
    with pytest.raises(NotOtlp):
        unpacked(packed, encoding, 100_000)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_refused_before_it_is_unpacked(encoding):
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = packer.compress(bytes(50_000_000)) + packer.flush()

    with pytest.raises(TooLarge, match="larger than 1000 bytes"):
        unpacked(bomb, encoding, 1000)


def test_exactly_the_limit_is_taken():
    assert len(unpacked(gzip.compress(bytes(1000)), "gzip", 1000)) == 1000


RECORDED = Path(__file__).parents[4] / "shared" / "data" / "recorded" / "tempo" / "sent"


@pytest.mark.skipif(not RECORDED.exists(), reason="the recordings are not part of the repository")
def test_recorded_requests_say_the_same_in_json_and_protobuf():
    bodies = sorted(RECORDED.glob("*.pb"))

    for body in bodies:
        told = body.with_suffix(".otlp.json").read_bytes()
        assert columns(protobuf_from_json(told)) == columns(body.read_bytes())
    assert bodies
