"""Short strings are read by hand: whatever the bytes, as the message classes would read them."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.receive.otlp_bodies import protobuf, span
from why504.receive.decode import MEMO_VALUES, Decoder


@given(st.text(max_size=140), st.text(max_size=140))
@example("k" * 127, "v" * 125)
@example("k" * 127, "v" * 126)
@example("k" * 128, "v")
@example("", "")
@example("key", 'a"b\\c\n\x00ü🦀')
def test_a_pair_of_strings_is_read_as_ever(key, value):
    batch = Decoder().decode(protobuf(span(attributes={key: value})))

    assert json.loads(batch.columns["attributes"][0]) == {key: value}


@given(st.binary(max_size=40))
def test_other_bytes_are_read_by_the_message_classes(raw):
    decoder = Decoder()
    try:
        expected = decoder._learn_any(raw)
    except Exception as error:
        expected = type(error)
    try:
        found = Decoder()._learn(raw)
    except Exception as error:
        found = type(error)

    assert found == expected


def test_values_without_number_fill_no_memory():
    decoder = Decoder()
    spans = [span(attributes={"user.id": f"u-{n}", "db.system": "x"}) for n in range(6_000)]

    batch = decoder.decode(protobuf(*spans))

    assert json.loads(batch.columns["attributes"][-1]) == {"user.id": "u-5999", "db.system": "x"}
    assert len(decoder._attributes) <= MEMO_VALUES + 1
