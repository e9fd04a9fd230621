"""What `/debug/limits` and `--limits` may hold: older, newer, broken and hostile."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from why504.doctor.draw import as_json
from why504.errors import ConfigError
from why504.ladder.examine import Ladder, examine
from why504.ladder.kinds import KINDS
from why504.ladder.rung import MOST_ROWS, Rung, rungs_of

LENGTHS = st.none() | st.floats(0, 1e12, allow_nan=False)
RUNGS = st.builds(
    Rung,
    st.sampled_from([kind.id for kind in KINDS]),
    LENGTHS,
    name=st.text(max_size=20),
    where=st.text(min_size=1, max_size=20),
    attempts=st.integers(1, 10),
    pause_s=st.floats(0, 100),
    connections=st.none() | st.integers(0, 1000),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(RUNGS, max_size=5))
def test_what_a_probe_tells_is_what_is_read(rungs):
    document = json.loads(json.dumps([rung.as_row() for rung in rungs]))

    assert rungs_of(document, "here") == rungs


@given(JSON | st.lists(st.fixed_dictionaries({"kind": st.text(), "seconds": JSON})))
def test_whatever_is_told_is_read_or_refused_in_words(document):
    try:
        rungs = rungs_of(document, "here")
    except ConfigError:
        return
    assert all(rung.seconds is None or 0 <= rung.seconds < math.inf for rung in rungs)


def test_an_older_probe_tells_fewer_keys_and_a_newer_one_more():
    document = [{"kind": "llm", "seconds": 15}, {"kind": "gpu", "seconds": 1, "colour": ["red"]}]

    assert rungs_of(document, "here") == [
        Rung("llm", 15.0, where="here"),
        Rung("gpu", 1.0, where="here"),
    ]


def test_names_and_their_seconds_are_enough():
    assert rungs_of({"llm": 15, "statement": None, "search": 3}, "file") == [
        Rung("llm", 15.0, where="file"),
        Rung("statement", None, where="file"),
        Rung("call", 3.0, name="search", where="file"),
    ]


def test_what_the_doctor_printed_is_read_as_the_rungs_in_it():
    ladder = Ladder([Rung("llm", None, name="groq", where="a probe"), Rung("gateway", 60.0)])
    document = json.loads(json.dumps(as_json(examine(ladder))))

    read = rungs_of(document, "here")

    assert [(rung.kind, rung.seconds, rung.where) for rung in read] == [
        ("gateway", 60.0, "here"),
        ("llm", None, "a probe"),
    ]
    assert examine(Ladder(read)).findings == examine(ladder).findings


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (float("nan"), "NaN is no number"),
        (-1, "-1 is negative"),
        ("15", "'15' is no number of seconds"),
        (True, "True is no number of seconds"),
        ([15], "is no number of seconds"),
    ],
)
def test_a_value_that_is_no_length_of_time_is_refused_by_name(value, says):
    with pytest.raises(ConfigError, match=f"here: limit 'llm': .*{says}|here: limit 'llm': {says}"):
        rungs_of({"llm": value}, "here")


@pytest.mark.parametrize("value", [math.inf, 10**400])
def test_what_is_longer_than_any_number_is_no_limit(value):
    assert rungs_of({"llm": value}, "here") == [Rung("llm", None, where="here")]


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "llm"},
        {"seconds": 3},
        {"kind": 3, "seconds": 3},
        {"kind": "llm", "seconds": 3, "attempts": -1},
        {"kind": "llm", "seconds": 3, "attempts": 1.5},
        {"kind": "llm", "seconds": 3, "attempts": 10**30},
        {"kind": "llm", "seconds": 3, "pause_s": "long"},
        {"kind": "pool", "seconds": 3, "connections": "many"},
        17,
        None,
    ],
)
def test_a_row_that_makes_no_sense_is_refused(row):
    with pytest.raises(ConfigError, match="here"):
        rungs_of([row], "here")


def test_more_rows_than_any_process_has_are_refused():
    with pytest.raises(ConfigError, match=f"{MOST_ROWS} are read at most"):
        rungs_of([{"kind": "llm", "seconds": 1}] * (MOST_ROWS + 1), "here")
