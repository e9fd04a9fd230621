"""The timeline and the comparison on the incident page, on a store in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboards.words import common, comparing, timeline
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards.conftest import Opened, charts, interpreted, texts
from why504 import names
from why504.errors import StoreUnavailable
from why504.model import Evidence, Incident, Sample, Window

POOL = told.pool_incident()
PLANTED = '<img src=x onerror="planted()"> **planted** [planted](javascript:1) \u202egnp.exe'


@dataclass
class KnownTime(told.MemoryStore):
    """A store that knows the time around the hang."""

    known: Evidence = field(default_factory=lambda: Evidence(Window(0, 0)))

    def evidence(self, window: Window) -> Evidence:
        return replace(self.known, window=window)


def unfolded(page: AppTest) -> AppTest:
    """The page with the table of what changed, which is folded at first."""
    page.session_state["comparison_table"] = True
    return page.run()


def around(minutes_before: float = 1.0, **changes: Any) -> Evidence:
    """All of the hang, and requests that went well before it, one a second."""
    traces = [told.pool_trace(n) for n in range(1, 5)] + [told.holder_trace()]
    before = [
        replace(
            told.gateway_span(told.victim(1)),
            trace_id=f"{n:032x}",
            start_ns=told.at(n - 60),
            end_ns=told.at(n - 59.9),
            last_seen_ns=told.at(n - 59.9),
            attributes={names.HTTP_STATUS: 200},
        )
        for n in range(round(60 * minutes_before))
    ]
    evidence = Evidence(
        Window(told.at(-60), told.at(130)),
        [*before, *(span for trace in traces for span in trace.spans)],
        [wait for trace in traces for wait in trace.waits],
        [hold for trace in traces for hold in trace.holds],
        heard_ns={told.INSTANCE: told.at(66), "nginx": told.at(130)},
    )
    return replace(evidence, **changes)


def opened(explorer: Opened, known: Evidence, found: Sequence[Incident] = (POOL,), **query: str):
    store, _ = told.both_hangs()
    return explorer("incident", KnownTime(store.traces, known=known), found, **query)


def drawn(page, index: int) -> set[str]:
    """Return the words in a chart."""
    spec = charts(page)[index]
    layers = [layer for layer in spec["layer"] if layer["mark"].get("type") == "text"]
    assert layers
    return set(words_of(page, index))


def words_of(page, index: int) -> list[str]:
    chart = page.get("vega_lite_chart")[index]
    found: list[str] = []
    for dataset in chart.proto.datasets:
        for column in _columns(dataset.data.data):
            found += [value for value in column if isinstance(value, str)]
    return found


def _columns(arrow: bytes) -> list[list[Any]]:
    import pyarrow as pa

    return [column.to_pylist() for column in pa.ipc.open_stream(arrow).read_all().columns]


def test_the_page_shows_what_happened_when_and_what_changed(explorer: Opened):
    page = opened(explorer, around())

    headings = [heading.value for heading in page.header]
    assert {"What happened when", "What changed"} <= set(headings)
    rows = drawn(page, 0)
    assert {
        "504s per second",
        "Connections of pool main in use, of 15",
        "Requests waiting for a connection of pool main",
        "peak 97",
        "first 504",
    } <= rows
    assert "Before: 60.0 s. During: 70.0 s. After: nobody told." in texts(page)
    table = unfolded(page).dataframe[0].value
    changed = dict(zip(table["What"], table["Change"], strict=True))
    assert changed["504s per second"] == "from 0"
    assert changed["Requests that failed"] == "from 0"
    assert changed["Requests per second"] == "÷ 18"


def test_nothing_before_is_said(explorer: Opened):
    known = around(0.0, holds=())
    began = [span for span in known.spans if span.start_ns >= told.at(0)]

    page = opened(explorer, replace(known, spans=began))

    assert comparing.NO_BEFORE.en in [info.value for info in page.info]


def test_evidence_that_is_gone_leaves_the_504s_and_says_so(explorer: Opened):
    page = opened(explorer, Evidence(Window(0, 0)))

    assert "504s per second" in drawn(page, 0)
    assert comparing.NOTHING.en in [info.value for info in page.info]


def test_a_sample_is_said_to_be_one(explorer: Opened):
    whole = opened(explorer, around())
    assert timeline.SAMPLED.en not in [caption.value for caption in whole.caption]


def test_estimates_are_said_to_be_estimates(explorer: Opened):
    page = opened(explorer, around(sample=Sample({}, {}, 100)))

    captions = [caption.value for caption in page.caption]
    assert {timeline.SAMPLED.en, comparing.SAMPLED.en} <= set(captions)


def test_a_store_that_cant_be_read_any_more_is_told(
    explorer: Opened, monkeypatch: pytest.MonkeyPatch
):
    def gone(*_: object) -> Evidence:
        raise StoreUnavailable("disk **gone** <b>now</b>")

    monkeypatch.setattr("dashboards.evidence.around", gone)

    page = opened(explorer, around())

    assert [error.value for error in page.error] == [common.CANT_READ.en] * 2
    assert "disk **gone** <b>now</b>" in texts(page)
    assert "gone" not in "".join(interpreted(page))


def test_planted_markup_stays_text(explorer: Opened):
    known = around()
    hostile = replace(
        known,
        spans=[replace(span, name=PLANTED, service=span.service) for span in known.spans],
        waits=[replace(wait, resource=f"db.pool:{PLANTED}") for wait in known.waits],
        holds=[replace(hold, resource=f"db.pool:{PLANTED}") for hold in known.holds],
    )
    incident = told.pool_incident(victims=tuple(told.victim(n, route=PLANTED) for n in (1, 2)))

    page = opened(explorer, hostile, [incident])

    assert "planted" in "".join(words_of(page, 0))
    assert "planted" not in "".join(interpreted(page))
    assert "\u202e" not in json.dumps(words_of(page, 0), ensure_ascii=False)


def test_it_speaks_vietnamese(explorer: Opened):
    page = opened(explorer, around(), lang="vi")

    assert timeline.TITLE.vi in [heading.value for heading in page.header]
    assert timeline.ROWS["timeouts"].vi in drawn(page, 0)
    assert comparing.WHAT.vi in list(unfolded(page).dataframe[0].value)
