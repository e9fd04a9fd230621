"""The pages about incidents, on a store in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dashboards.links import padded
from dashboards.settings import Settings
from dashboards.words.engine import GLOSSARY
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards.conftest import (
    Opened,
    charts,
    drawn,
    interpreted,
    query_of,
    texts,
)
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
    env = {"WHY504_STORE": "/from/env", "WHY504_PROBE": "http://a:1, http://b:2"}

    assert Settings.read(["--store", str(tmp_path), "x"], env).store == tmp_path
    assert Settings.read([], env).store == Path("/from/env")
    assert Settings.read([], env).probes == ("http://a:1", "http://b:2")
    assert Settings.read([], {}) == Settings()


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
    list_of_504s = page.dataframe[0].value
    assert list(list_of_504s["Blocked in"]) == ["waiting for db.pool:main"] * 4


def test_a_request_is_drawn_with_its_holder_and_the_stack_line(explorer: Opened):
    store, _ = told.both_hangs()

    page = explorer("request", store, [POOL])

    assert [len(chart["layer"]) for chart in charts(page)] == [6]
    assert any(
        line.startswith("→") and 'publisher.py", line 48' in line
        for text in texts(page)
        for line in text.split("\n")
    )


def test_no_confidence_is_claimed_for_a_cause_that_is_not_known(explorer: Opened):
    nameless = told.finding(cause="UNKNOWN", title="no evidence", confidence=0.0)

    page = explorer("incident", told.MemoryStore(), [replace(POOL, finding=nameless)])

    assert any(text.startswith("Cause not known: no evidence\n") for text in texts(page))
    assert "Confidence" not in "\n".join(texts(page))


def test_the_latest_incident_is_opened_first(explorer: Opened):
    page = explorer("incident", *told.both_hangs())

    assert LOOP.finding.sentence in texts(page)
    assert POOL.finding.sentence not in texts(page)


def test_a_link_opens_its_504_and_survives_a_reload(explorer: Opened):
    page = explorer("request", *told.both_hangs(), incident=POOL.id, trace=told.trace(3))

    for _ in range(2):
        assert f"Trace: {told.trace(3)}" in "\n".join(texts(page))
        page.run()


def test_the_504_of_the_address_is_the_one_that_is_offered(explorer: Opened):
    page = explorer("incident", *told.both_hangs(), incident=POOL.id, trace=told.trace(3))

    assert POOL.finding.sentence in texts(page)
    assert page.selectbox[0].value == 2
    ways = [{"incident": POOL.id, "trace": told.trace(3)}] * 2
    assert [way for way in query_of(page, "request") if way["trace"] == told.trace(3)] == ways


def test_choosing_a_504_offers_its_page(explorer: Opened):
    page = explorer("incident", *told.both_hangs(), incident=POOL.id)

    page.selectbox[0].set_value(3).run()

    assert not page.exception
    assert {"incident": POOL.id, "trace": told.trace(4)} in query_of(page, "request")


def test_a_request_leads_back_and_to_its_neighbours(explorer: Opened):
    page = explorer("request", *told.both_hangs(), incident=POOL.id, trace=told.trace(2))

    assert query_of(page, "incident") == [{"incident": POOL.id, "trace": told.trace(2)}]
    assert query_of(page, "") == [
        {"incident": POOL.id, "trace": told.trace(1)},
        {"incident": POOL.id, "trace": told.trace(3)},
        {"trace": told.trace(200)},
    ]


def test_a_request_that_is_no_504_is_drawn_without_blame(explorer: Opened):
    page = explorer("request", *told.both_hangs(), trace=told.trace(200))

    assert "none of the 504s" in page.info[0].value
    assert len(charts(page)) == 1
    assert f"Trace: {told.trace(200)}" in "\n".join(texts(page))


def test_an_open_request_is_drawn_with_the_holder_that_its_address_names(explorer: Opened):
    store, found = told.both_hangs()
    store.traces["ab" * 16] = Evidence(
        told.holder_trace().window, told.pool_trace(1).spans[1:], told.pool_trace(1).waits
    )

    page = explorer("request", store, found, trace="ab" * 16, holder=told.trace(200))

    labels = str(drawn(page))
    assert "Held by" in labels
    assert "publish conversation.ended" in labels


@pytest.mark.parametrize("trace", ["f" * 32, "zz", "<b>" * 50, "../../etc"])
def test_a_trace_that_is_not_there_is_a_sentence(explorer: Opened, trace: str):
    page = explorer("request", *told.both_hangs(), trace=trace)

    assert len(page.warning) == 1
    assert not charts(page)


def test_prompts_are_not_among_the_raw_spans(explorer: Opened):
    store, found = told.both_hangs()
    own = store.traces[told.trace(1)]
    planted = {
        name: "SECRET"
        for name in (
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.system_instructions",
            "gen_ai.prompt.0.content",
            "gen_ai.completion",
            "gen_ai.tool.call.arguments",
            "langfuse.observation.input",
            "langfuse.trace.output",
            "input.value",
            "llm.output_messages.0.message.content",
            "traceloop.entity.input",
        )
    } | {"gen_ai.usage.input_tokens": 7, "messaging.message.id": "m-1"}
    spans = tuple(replace(span, attributes=planted) for span in own.spans)
    store.traces[told.trace(1)] = replace(own, spans=spans)

    page = explorer("request", store, found, incident=POOL.id, trace=told.trace(1))

    page.session_state["raw_spans"] = True
    page.run()
    raw = page.dataframe[0].value["attributes"].iloc[0]
    assert "SECRET" not in raw
    assert '"gen_ai.usage.input_tokens": 7' in raw
    assert '"messaging.message.id": "m-1"' in raw


def test_a_trace_is_linked_elsewhere_only_to_web_addresses_and_by_its_id(
    explorer: Opened, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WHY504_TRACE_URL", "https://grafana.example/trace/{trace}")
    monkeypatch.setenv("WHY504_LANGFUSE_URL", "javascript:alert(1)//{trace}")

    page = explorer("request", *told.both_hangs(), trace=told.trace(1))

    links = [link.proto.url for link in page.get("link_button")]
    assert links == [f"https://grafana.example/trace/{told.trace(1)}"]


def test_a_card_leads_to_the_incident_with_its_504(explorer: Opened):
    page = explorer("", *told.both_hangs(), incident=POOL.id, trace=told.trace(3))

    assert POOL.finding.sentence in texts(page)
    ways = [{"incident": POOL.id, "trace": told.trace(3)}] * 2
    assert [way for way in query_of(page, "request") if way["trace"] == told.trace(3)] == ways


def test_incidents_are_listed_latest_first_each_with_its_address(explorer: Opened):
    page = explorer("incidents", *told.both_hangs())

    assert query_of(page, "incident") == [{"incident": LOOP.id}, {"incident": POOL.id}]
    assert any("4 × 504 in 70.0 s" in text for text in texts(page))
    assert [row["count"] for row in drawn(page)[0]] == [2, 4]


def test_filters_are_in_the_address(explorer: Opened):
    page = explorer("incidents", *told.both_hangs(), cause="B1", route="suggest")

    assert query_of(page, "incident") == [{"incident": LOOP.id}]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ({"route": "SUGGEST"}, 2),
        ({"route": "no such route"}, 0),
        ({"cause": "F1"}, 1),
        ({"cause": "no such cause"}, 2),
        ({"status": "on"}, 0),
        ({"status": "over"}, 2),
        ({"when": "1h"}, 0),
        ({"when": "all"}, 2),
    ],
)
def test_filters_narrow_the_list(explorer: Opened, query: dict[str, str], left: int):
    page = explorer("incidents", *told.both_hangs(), **query)

    assert len(query_of(page, "incident")) == left
    assert len(page.info) == (left == 0)


def test_every_page_speaks_vietnamese(explorer: Opened):
    page = explorer("incident", *told.both_hangs(), lang="vi")

    assert "Cần làm gì" in [heading.value for heading in page.header]
    assert "English" in [button.label for button in page.button]


def test_an_address_of_something_gone_says_so_and_shows_the_rest(explorer: Opened):
    page = explorer("incident", *told.both_hangs(), incident="gone")
    other = explorer("incident", *told.both_hangs(), incident=POOL.id, trace="f" * 32)

    assert "not in the store" in page.warning[0].value
    assert not charts(page), "nobody may take another incident for the one that was asked for"
    assert query_of(page, "incidents") == [{}]
    assert "not among the 504s" in other.warning[0].value
    assert POOL.finding.sentence in texts(other)


def test_a_504_beyond_the_table_can_still_be_opened_by_its_address(explorer: Opened):
    many = [told.victim(1, trace_id=f"{n:032x}") for n in range(2_500)]
    page = explorer(
        "incident", told.MemoryStore(), [replace(POOL, victims=tuple(many))], trace=f"{2_400:032x}"
    )

    assert len(page.dataframe[0].value) == 2_000
    assert "The first 2,000 of 2,500." in [caption.value for caption in page.caption]
    assert query_of(page, "request")[0]["trace"] == f"{2_400:032x}"


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


@pytest.mark.parametrize("path", ["incidents", "incident", "request"])
@pytest.mark.parametrize("text", PLANTED, ids=range(len(PLANTED)))
def test_what_telemetry_says_is_never_interpreted_and_always_bounded(
    explorer: Opened, text: str, path: str
):
    page = explorer(path, *planted(text))

    mark = text.strip("\u202e\u202c")[:20]
    read_as_markup = "\n".join(interpreted(page)).replace(GLOSSARY.en, "")
    assert mark not in read_as_markup
    offered = [str(option) for box in page.selectbox for option in box.options]
    everything = texts(page) + [code.value for code in page.code] + offered
    assert any(mark in shown for shown in everything)
    assert not any("\u202e" in shown for shown in everything)
    assert max(map(len, everything)) < 15_000  # forty lines of a stack, each bounded
    for chart in charts(page):
        assert len(json.dumps(chart)) < 200_000
        assert "\u202e" not in json.dumps(chart, ensure_ascii=False)
    for rows in drawn(page):
        assert "\u202e" not in json.dumps(rows, ensure_ascii=False, default=str)
        assert all(len(str(value)) <= 700 for row in rows for value in row.values())
    for table in page.dataframe:
        cells = [str(cell) for column in table.value for cell in table.value[column]]
        assert max(map(len, cells)) <= 2_000
        assert not any("\u202e" in cell for cell in cells)


def test_a_trace_is_known_by_an_id_without_its_leading_zeros():
    whole = "00000ac0b9999962e1e4b540b9cfba75"

    assert padded(whole.lstrip("0")) == whole
    assert padded(whole) == whole
    # What is no id of a trace is not made one.
    assert (padded(""), padded("abc"), padded("<b>")) == ("", "abc", "<b>")
