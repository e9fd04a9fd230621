"""The classic critical paths on traces of our own; their authors' cases: test_oracles.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from why504.diagnose.classic import self_times
from why504.diagnose.classic.crisp import crisp_path
from why504.model import Span


def span(name, start, end, parent=None, kind="internal", instance="", **attributes) -> Span:
    return Span(
        "t", name, parent, name, kind, start, end, end, "s", instance, attributes=attributes
    )


def times(spans, mode):
    return {span_id: ns for (_, span_id), ns in self_times(spans, mode).items()}


def test_both_agree_where_nothing_overlaps():
    trace = [span("a", 0, 100), span("b", 10, 30, "a"), span("c", 40, 90, "a")]

    assert times(trace, "crisp") == times(trace, "jaeger") == {"a": 30, "b": 20, "c": 50}


def test_a_child_wider_than_its_parent_is_dropped_by_crisp_and_cut_by_jaeger():
    trace = [span("a", 10, 20), span("b", 5, 25, "a")]

    assert times(trace, "crisp") == {"a": 10}
    assert times(trace, "jaeger") == {"b": 10}


def test_crisp_believes_a_server_whose_clock_is_elsewhere():
    trace = [
        span("a", 0, 100),
        span("b", 10, 60, "a", kind="client"),
        span("c", 1000, 1030, "b", kind="server"),
    ]

    assert times(trace, "crisp") == {"a": 50, "b": 20, "c": 30}
    assert times(trace, "jaeger") == {"a": 50, "b": 50}


def test_jaeger_waits_for_no_consumer_of_a_message():
    trace = [span("a", 0, 100, kind="producer"), span("b", 10, 90, "a", kind="consumer")]

    assert times(trace, "jaeger") == {"a": 100}


def test_crisp_begins_where_it_is_told_and_leaves_out_what_it_is_told():
    trace = [span("a", 0, 100), span("b", 10, 90, "a"), span("c", 20, 80, "b")]

    found = crisp_path(trace, ("s", "b"), exclude=[("s", "c")])

    assert {way: path.exclusive_ns for way, path in found.items()} == {"[s] b": 80}
    assert crisp_path(trace, ("s", "nobody")) == {}


def test_a_trace_of_a_hundred_thousand_levels_is_no_problem():
    deep = [span("0", 0, 10**6)]
    deep += [span(str(n), n, 10**6 - n, str(n - 1)) for n in range(1, 100_000)]

    assert sum(times(deep, "jaeger").values()) == sum(times(deep, "crisp").values()) == 10**6


@st.composite
def traces(draw):
    spans = [span("0", 0, 1000)]
    for n in range(1, draw(st.integers(1, 12))):
        start = draw(st.integers(-50, 1100))
        length = draw(st.integers(0, 600))
        parent = str(draw(st.integers(0, n - 1)))
        kind = draw(st.sampled_from(["internal", "client", "server", "producer", "consumer"]))
        spans.append(span(str(n), start, start + length, parent, kind))
    return spans


@given(traces())
def test_jaegers_sections_fill_the_root_exactly(trace):
    assert sum(times(trace, "jaeger").values()) == 1000


@given(traces())
def test_no_span_of_crisps_has_more_than_its_length(trace):
    own = times(trace, "crisp")

    assert "0" in own
    assert all(0 <= ns <= s.end_ns - s.start_ns for s in trace if (ns := own.get(s.span_id)))
