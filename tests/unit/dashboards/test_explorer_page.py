"""The pages about incidents, on a store in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dashboards.draw.words import GLOSSARY
from dashboards.settings import Settings
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards.conftest import Opened, charts, interpreted, texts
from why504.errors import StoreUnavailable
from why504.model import Evidence, Incident, Leaf, Site, Window

POOL, LOOP = told.pool_incident(), told.loop_incident()


def test_an_empty_store_says_what_to_do(explorer: Opened):
    page = explorer("incident", told.MemoryStore(window=None))

    assert "make demo" in [code.value for code in page.code]
    assert "Nothing to explain" in page.info[0].value
    assert not page.dataframe


def test_a_store_without_504s_says_what_to_do(explorer: Opened):
    page = explorer("incident", told.MemoryStore())

    assert "make demo" in [code.value for code in page.code]


def test_a_folder_that_is_not_there_is_an_empty_store(
    explorer: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("WHY504_STORE", str(tmp_path / "gone"))

    page = explorer("incident", *told.both_hangs())

    assert "make demo" in [code.value for code in page.code]


def test_without_a_store_the_page_says_how_to_name_one(
    explorer: Opened, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("WHY504_STORE")

    page = explorer("incident", *told.both_hangs())

    assert "WHY504_STORE" in page.info[0].value


def test_the_store_is_named_by_argument_before_environment(tmp_path: Path):
    env = {"WHY504_STORE": "/from/env"}

    assert evidence.store_folder(["--store", str(tmp_path), "x"], env) == tmp_path
    assert evidence.store_folder([], env) == Path("/from/env")
    assert evidence.store_folder([], {}) is None


def test_a_store_that_cant_be_read_is_told_without_interpreting_the_reason(explorer: Opened):
    class Broken(told.MemoryStore):
        def extent(self) -> Window | None:
            raise StoreUnavailable("disk **gone** <b>now</b>")

    page = explorer("incident", Broken())

    assert "can't be read" in page.error[0].value
    assert "disk **gone** <b>now</b>" in texts(page)
    assert "gone" not in "".join(interpreted(page))


def test_one_incident_is_told_from_its_sentence_to_the_stack_line(explorer: Opened):
    store, _ = told.both_hangs()

    page = explorer("incident", store, [POOL])

    shown = texts(page)
    assert POOL.finding.sentence in shown
    assert "1. Bound the connect: socket_timeout=3\n2. Publish outside the transaction" in shown
    assert "+ all 15 holders stand on the same line\n+ no connection came free" in shown
    assert "− the broker's own metrics were not seen" in shown
    assert [step.what for step in POOL.finding.chain] == [
        text for text in shown if text in {link.what for link in POOL.finding.chain}
    ]
    list_of_504s = page.dataframe[1].value
    assert list(list_of_504s["Blocked in"]) == ["waiting for db.pool:main"] * 4
    assert [len(chart["layer"]) for chart in charts(page)] == [2, 6]
    assert any(
        line.startswith("→") and 'publisher.py", line 48' in line
        for code in page.code
        for line in code.value.split("\n")
    )


def test_no_confidence_is_claimed_for_a_cause_that_is_not_known(explorer: Opened):
    nameless = told.finding(cause="UNKNOWN", title="no evidence", confidence=0.0)

    page = explorer("incident", told.MemoryStore(), [replace(POOL, finding=nameless)])

    assert any(text.startswith("Cause not known: no evidence\n") for text in texts(page))
    assert "Confidence" not in "\n".join(texts(page))


def test_the_latest_incident_is_opened_first(explorer: Opened):
    page = explorer("incident", *told.both_hangs())

    assert page.dataframe[0].value["Cause"].iloc[0].startswith("B1")
    assert LOOP.finding.sentence in texts(page)
    assert "Reached the application: no" in "\n".join(texts(page))


def test_a_link_opens_its_incident_and_its_504_and_survives_a_reload(explorer: Opened):
    page = explorer("incident", *told.both_hangs(), incident=POOL.id, trace=told.trace(3))

    for _ in range(2):
        assert POOL.finding.sentence in texts(page)
        assert page.selectbox[0].value == 2
        assert f"Trace: {told.trace(3)}" in "\n".join(texts(page))
        page.run()


def test_choosing_a_504_draws_it_and_changes_the_address(explorer: Opened):
    page = explorer("incident", *told.both_hangs(), incident=POOL.id)

    page.selectbox[0].set_value(3).run()

    assert not page.exception
    assert page.query_params == {"incident": POOL.id, "trace": told.trace(4)}
    assert f"Trace: {told.trace(4)}" in "\n".join(texts(page))


def test_the_row_of_the_504_on_the_clock_is_ticked(explorer: Opened):
    page = explorer("incident", *told.both_hangs(), incident=POOL.id)
    again = explorer("incident", *told.both_hangs(), incident=POOL.id, trace=told.trace(2))

    assert page.session_state["victim_row"]["selection"]["rows"] == [0]
    assert again.session_state["victim_row"]["selection"]["rows"] == [1]


def test_an_address_of_something_gone_says_so_and_shows_the_rest(explorer: Opened):
    page = explorer("incident", *told.both_hangs(), incident="gone")
    other = explorer("incident", *told.both_hangs(), incident=POOL.id, trace="f" * 32)

    assert "not in the store" in page.warning[0].value
    assert "not among the 504s" in other.warning[0].value
    assert POOL.finding.sentence in texts(other)


def test_a_504_beyond_the_table_can_still_be_opened_by_its_address(explorer: Opened):
    many = [told.victim(1, trace_id=f"{n:032x}") for n in range(2_500)]
    page = explorer("incident", told.MemoryStore(), [replace(POOL, victims=tuple(many))], trace=f"{2_400:032x}")

    assert len(page.dataframe[1].value) == 2_000
    assert "The first 2,000 of 2,500." in [caption.value for caption in page.caption]
    assert f"Trace: {2_400:032x}" in "\n".join(texts(page))


PLANTED = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "**bold** :red[x] $x^2$ `code` # h",
    "https://planted.example",
    "\u202etxt.exe\u202c",
    "PLANTED" + "A" * 100_000,
)


def planted(text: str) -> tuple[told.MemoryStore, list[Incident]]:
    """The pool's hang with `text` in every string that telemetry can choose."""
    site = Site(text, 48, text)
    leaf = Leaf("run", text, site)
    victims = tuple(
        told.victim(n, route=text, blocked_in=text, held_by=text, leaf=leaf) for n in (1, 2)
    )
    link = replace(POOL.finding.chain[0], what=text, evidence=(text,) * 3)
    finding = told.finding(
        title=text,
        mechanism=text,
        site=site,
        sentence=text,
        chain=(link, link),
        evidence_for=(text,),
        evidence_against=(text,),
        advice=(text,),
    )
    blames = tuple(replace(blame, leaf=leaf) for blame in POOL.blames)
    incident = replace(POOL, id=text[:50], victims=victims, finding=finding, blames=blames)
    own, held = told.pool_trace(1), told.holder_trace()
    spans = tuple(
        replace(span, name=text, stack=text, site=site, attributes={text: text})
        for span in [*own.spans, *held.spans]
    )
    waits = tuple(replace(wait, resource=text, site=site, stack=text) for wait in own.waits)
    holds = tuple(replace(hold, resource=text, site=site, stack=text) for hold in held.holds)
    trace = Evidence(own.window, spans, waits, holds)
    return told.MemoryStore({told.trace(1): trace, told.trace(200): trace}), [incident]


@pytest.mark.parametrize("text", PLANTED, ids=range(len(PLANTED)))
def test_what_telemetry_says_is_never_interpreted_and_always_bounded(explorer: Opened, text: str):
    page = explorer("incident", *planted(text))

    mark = text.strip("\u202e\u202c")[:20]
    read_as_markup = "\n".join(interpreted(page)).replace(GLOSSARY, "")
    assert mark not in read_as_markup
    everything = texts(page) + [code.value for code in page.code] + page.selectbox[0].options
    assert any(mark in shown for shown in everything)
    assert not any("\u202e" in shown for shown in everything)
    assert max(map(len, everything)) < 5_000
    for chart in charts(page):
        assert len(json.dumps(chart)) < 200_000
        assert "\u202e" not in json.dumps(chart, ensure_ascii=False)
    for table in page.dataframe:
        cells = [str(cell) for column in table.value for cell in table.value[column]]
        assert max(map(len, cells)) <= 300
        assert not any("\u202e" in cell for cell in cells)
