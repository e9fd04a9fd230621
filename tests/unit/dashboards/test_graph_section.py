"""The wait-for graph on the incident page: drawn, walked, and named by the address."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from dashboards.language import LANGUAGES
from dashboards.words import graph as words
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards import graph_examples as by_hand
from tests.unit.dashboards.conftest import Opened, charts, interpreted, texts
from why504.model import Incident, Node, Site, WaitGraph


def opened(explorer: Opened, incident: Incident | None = None, **query: str) -> AppTest:
    store, _ = told.both_hangs()
    return explorer("incident", store, [incident or by_hand.incident()], **query)


def name(page: AppTest) -> str:
    """Return the words of the chosen node."""
    kinds = tuple(said[0] + ": " for said in words.KINDS.values())
    return next(text for text in texts(page) if text.startswith(kinds))


def graphs(page: AppTest) -> list[dict[str, object]]:
    return [spec for spec in charts(page) if '"name": "node"' in json.dumps(spec)]


def button(page: AppTest, label: str) -> None:
    next(b for b in page.button if b.label == label).click()
    page.run()
    assert not page.exception


def linked(page: AppTest) -> list[tuple[str, str]]:
    links = [link.proto for link in page.get("page_link")]
    return [(p.label, p.query_string) for p in links if "request" in p.label.lower()]


def test_it_is_drawn_for_a_desk_and_for_a_phone_with_the_root_cause_chosen(explorer: Opened):
    page = opened(explorer)

    assert len(graphs(page)) == 2
    assert name(page) == "own code: waiting for the broker to answer"
    assert "◎ root cause" in [caption.value for caption in page.caption]
    assert "Lost here or on the way through: 3 min 51 s · 96 % of all" in "\n".join(texts(page))
    assert f"{told.PUBLISH}  publish" in texts(page)


def test_buttons_walk_back_to_the_victims_and_on_again(explorer: Opened):
    page = opened(explorer)
    walked = []

    for _ in range(3):
        button(page, "← Back to 1")
        walked.append((name(page), page.query_params["node"]))
    button(page, "On to 1 →")

    assert [word for word, _ in walked] == [
        "had it: POST /v1/conversations/end",
        "waited for: db.pool:main",
        "timed out: POST /v1/activities/suggest",
    ]
    assert [ids for _, ids in walked] == ["holders-1", "resource-1", "victims-1"]
    assert name(page) == "waited for: db.pool:main"


def test_the_address_names_the_node(explorer: Opened):
    page = opened(explorer, node="holders-1")

    assert name(page) == "had it: POST /v1/conversations/end"
    assert "Requests: 15" in "\n".join(texts(page))
    assert "• 15 holds, longest 61.5 s" in "\n".join(texts(page))
    assert not page.warning


@pytest.mark.parametrize("node", ["gone", "<script>", "leaf-1\n", "x" * 100_000, "\u202e"])
def test_a_node_that_is_not_there_is_told(explorer: Opened, node: str):
    page = opened(explorer, node=node)

    assert [warning.value for warning in page.warning] == [words.NO_SUCH_NODE[0]]
    assert name(page) == "own code: waiting for the broker to answer"


def test_both_ways_of_an_edge_tell_the_same_seconds(explorer: Opened):
    page = opened(explorer, node="resource-1")

    shown = "\n".join(texts(page))
    assert "POST /v1/activities/suggest\ntimed out · 2 min 58 s · 74 %" in shown
    assert "POST /v1/conversations/end\nhad it · 3 min 56 s · 98 %" in shown


def test_examples_are_504s_or_504s_that_waited_for_them(explorer: Opened):
    page = opened(explorer, node="holders-1")

    links = dict(linked(page))
    # Trace 200 is the holder of the first victim, 3 is a victim itself, of 77 nobody knows.
    assert f"trace={told.trace(1)}" in links["Open a request that waited for holder 1"]
    assert f"trace={told.trace(3)}" in links["Open request 2"]
    assert not any("3" in label for label in links)


def test_where_no_cause_is_named_the_largest_loss_is_shown_but_not_as_root_cause(explorer: Opened):
    unknown = by_hand.incident(finding=told.finding(cause="UNKNOWN", leaves=()))

    page = opened(explorer, unknown)

    assert name(page) == "own code: waiting for the broker to answer"
    assert not any("root cause" in caption.value for caption in page.caption)
    assert "◎" not in json.dumps(graphs(page), ensure_ascii=False)


@pytest.mark.parametrize("graph", [None, WaitGraph((), ())])
def test_without_a_graph_the_page_is_whole(explorer: Opened, graph: WaitGraph | None):
    page = opened(explorer, by_hand.incident(graph=graph))

    assert graphs(page) == []
    assert page.dataframe


def test_a_chain_too_long_for_columns_is_drawn_once(explorer: Opened):
    nodes = [Node(f"n{n}", "resource", f"r{n}", 0, 200.0) for n in range(9)]
    edges = [
        replace(by_hand.graph().edges[0], source=f"n{n}", target=f"n{n + 1}") for n in range(8)
    ]

    page = opened(explorer, by_hand.incident(graph=WaitGraph(nodes, edges)))

    assert len(graphs(page)) == 1
    assert name(page) == "waited for: r8"


HOSTILE = "[x](javascript:1) **bold** <script>alert(1)</script> \u202e" + "A" * 1_000_000


def hostile_nodes() -> Sequence[Node]:
    site = Site(HOSTILE, 1, HOSTILE)
    return [
        replace(node, what=HOSTILE, evidence=(HOSTILE,) * 9, site=site)
        for node in by_hand.graph().nodes
    ]


@pytest.mark.parametrize("node", ["victims-1", "holders-1", "leaf-1"])
def test_nothing_of_telemetry_is_interpreted(explorer: Opened, node: str):
    graph = WaitGraph(hostile_nodes(), by_hand.graph().edges)

    page = opened(explorer, by_hand.incident(graph=graph), node=node)

    for marked in ("javascript", "script>", "\u202e", "AAAA"):
        assert marked not in "".join(interpreted(page))
    assert "[x](javascript:1) **bold** <script>alert(1)" in name(page)
    assert all(len(text) < 20_000 for text in texts(page))
    assert len(json.dumps(graphs(page))) < 300_000


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("node", ["holders-1", "leaf-1"])
def test_it_is_told_in_each_language(explorer: Opened, language: str, node: str):
    page = opened(explorer, lang=language, node=node)

    heading = words.TITLE[list(LANGUAGES).index(language)]
    assert heading in [header.value for header in page.header]
    told_words = "".join([*texts(page), *interpreted(page), json.dumps(charts(page))])
    assert not any(hole in told_words for hole in ("{lost}", "{share}", "{number}", "{count}"))
