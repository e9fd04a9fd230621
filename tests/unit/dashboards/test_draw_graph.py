"""The wait-for graph as it is drawn: places, widths, words that fit, whatever telemetry says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, pairwise

import pytest

from dashboards.draw import graph as draw
from dashboards.draw import graph_chart
from dashboards.draw.columns import columns
from dashboards.draw.layout import FINEST, WIDEST, Layout, ranks
from dashboards.draw.palette import DARK, LIGHT
from dashboards.draw.rows import rows
from dashboards.draw.wrap import wrapped
from dashboards.language import LANGUAGES, Say
from tests.unit.dashboards.graph_examples import BROKER, graph
from why504.model import Edge, Node, WaitGraph

TOTAL_S = 240.0
LAYOUTS = {"columns": columns, "rows": rows}
Lay = Callable[..., Layout]


def laid(lay: Lay, told: WaitGraph) -> Layout:
    return lay(told, TOTAL_S, draw.line_of)


def drawn(told: WaitGraph, chosen: str = "leaf-1") -> draw.Drawn:
    return draw.Drawn(told, ("leaf-1",), chosen, TOTAL_S)


def ring() -> WaitGraph:
    told = graph()
    return WaitGraph(told.nodes, (*told.edges, Edge("holders-1", "resource-1", 200.0)))


def crowd() -> WaitGraph:
    """Return as many nodes as the engine tells, everybody with everybody."""
    kinds = {"victims": 6, "resource": 8, "holders": 8, "run": 8}
    names = {kind: [f"{kind}-{n}" for n in range(count)] for kind, count in kinds.items()}
    nodes = [Node(name, kind, f"{name} " * 20, 1, 10.0) for kind in kinds for name in names[kind]]
    edges = [
        Edge(a, b, 0.5)
        for one, other in pairwise(names.values())
        for a in one
        for b in other
    ]  # fmt: skip
    back = [Edge(a, b, 0.5) for a in names["holders"] for b in names["resource"]]
    return WaitGraph(nodes, [*edges, *back])


@pytest.mark.parametrize("lay", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("told", [graph(), ring(), crowd()], ids=["pool", "ring", "crowd"])
def test_no_two_boxes_overlap_and_all_are_on_the_paper(lay: Lay, told: WaitGraph):
    layout = laid(lay, told)

    assert {box.node.id for box in layout.boxes} == {node.id for node in told.nodes}
    for box in layout.boxes:
        assert 0 <= box.left < box.right <= 1.0001
        assert 0 <= box.top < box.bottom <= layout.height
    for one, other in combinations(layout.boxes, 2):
        beside = one.right <= other.left or other.right <= one.left
        assert beside or one.bottom <= other.top or other.bottom <= one.top


@pytest.mark.parametrize("lay", LAYOUTS.values(), ids=LAYOUTS)
def test_every_edge_leads_from_box_to_box(lay: Lay):
    layout = laid(lay, ring())
    boxes = {box.node.id: box for box in layout.boxes}

    assert len(layout.paths) == len(ring().edges)
    for path in layout.paths:
        for (x, y), name in (
            (path.points[0], path.edge.source),
            (path.points[-1], path.edge.target),
        ):
            box = boxes[name]
            assert box.left - 1e-9 <= x <= box.right + 1e-9
            assert box.top - 1e-9 <= y <= box.bottom + 1e-9


def test_columns_go_from_the_victims_to_where_time_was_lost():
    left = {box.node.id: box.left for box in laid(columns, graph()).boxes}

    assert left["victims-1"] == left["victims-2"] == 0
    assert left["victims-1"] < left["resource-1"] < left["holders-1"] < left["leaf-1"]
    assert left["leaf-1"] == left["leaf-more"]


def test_rows_go_from_above_to_below():
    top = {box.node.id: box.top for box in laid(rows, graph()).boxes}

    order = ["victims-1", "victims-2", "resource-1", "holders-1", "leaf-1", "leaf-more"]
    assert sorted(top, key=lambda name: top[name]) == order


def test_an_edge_is_as_wide_as_what_it_carries():
    width = {(p.edge.source, p.edge.target): p.width for p in laid(columns, graph()).paths}

    assert width["resource-1", "holders-1"] == pytest.approx(WIDEST * 236 / 240)
    assert width["victims-1", "resource-1"] == pytest.approx(
        width["victims-2", "resource-1"] * 178 / 58
    )
    assert width["victims-1", "leaf-more"] == FINEST


def test_an_edge_that_passes_a_column_touches_none_of_its_boxes():
    layout = laid(columns, graph())
    for path in layout.paths:
        ends = {path.edge.source, path.edge.target}
        for box in layout.boxes:
            inside = [
                (x, y)
                for x, y in path.points
                if box.left < x < box.right and box.top < y < box.bottom
            ]
            assert box.node.id in ends or not inside


def test_a_ring_leads_back_and_is_drawn_so():
    assert ranks(graph()).rings == frozenset()
    assert ranks(ring()).rings == {("holders-1", "resource-1")}

    data = draw.edge_data(drawn(ring()), laid(columns, ring()).paths, Say())

    assert {row["what"] for row in data if row["ring"]} == {
        "POST /v1/conversations/end → db.pool:main"
    }


def test_labels_do_not_lie_on_one_another():
    layout = laid(columns, crowd())
    at = [path.label for path in layout.paths if path.label is not None]

    assert at
    for one, other in combinations(at, 2):
        assert abs(one[0] - other[0]) >= 0.1 or abs(one[1] - other[1]) >= 15


def test_what_carries_a_good_part_says_how_much():
    texts = {
        row["text"] for row in draw.label_data(drawn(graph()), laid(columns, graph()).paths, Say())
    }

    assert {"3 min 51 s · 96 %", "2 min 58 s · 74 %"} <= texts
    assert "2.0 s · < 1 %" not in texts


def test_the_root_cause_is_told_by_words_an_icon_and_an_outline():
    boxes = {
        row["id"]: row for row in draw.box_data(drawn(graph()), laid(columns, graph()).boxes, Say())
    }

    assert boxes["leaf-1"]["kind"] == "◎ root cause"
    assert [name for name, row in boxes.items() if row["root"]] == ["leaf-1"]
    assert boxes["victims-1"]["kind"] == "● 3 × timed out"
    assert len({row["kind"][0] for row in boxes.values()}) == 5


def test_a_node_is_named_by_its_kind_once():
    session = Node("leaf-1", "session", "database session 4711 (psql)", 1, 1.0)
    pool = Node("resource-1", "resource", "db.pool:main", 1, 1.0)

    assert draw.named(session, Say()) == "database session 4711 (psql)"
    assert draw.named(pool, Say()) == "waited for: db.pool:main"


def test_what_carries_next_to_nothing_is_left_out():
    told = graph()
    dust = Node("leaf-2", "run", "dust", 0, 0.01)
    told = WaitGraph((*told.nodes, dust), (*told.edges, Edge("victims-1", "leaf-2", 0.01)))

    assert draw.visible(told, TOTAL_S) == graph()


def test_a_graph_with_too_many_columns_is_drawn_in_rows_only():
    chain = [f"n{n}" for n in range(9)]
    nodes = [Node(name, "resource", name, 0, 1.0) for name in chain]
    edges = [Edge(a, b, 1.0) for a, b in pairwise(chain)]

    assert draw.columns_of(WaitGraph(nodes, edges)) == 0
    assert draw.columns_of(WaitGraph(nodes[:6], edges[:5])) == 6
    assert draw.columns_of(graph()) == 4


HOSTILE = "<script>alert(1)</script>\u202e[x](javascript:1)\n" + "A" * 1_000_000


@pytest.mark.parametrize("picture", [graph_chart.wide, graph_chart.narrow])
def test_hostile_words_stay_words_and_short(picture: Callable[..., dict[str, object]]):
    told = graph()
    evil = replace(BROKER, what=HOSTILE, kind=HOSTILE[:30])
    told = WaitGraph((*told.nodes[:4], evil, told.nodes[5]), told.edges)

    spec = json.dumps(picture(drawn(told), LIGHT, Say()), ensure_ascii=False)

    assert "\u202e" not in spec
    assert len(spec) < 200_000
    assert "<U+202E>" in spec


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("picture", [graph_chart.wide, graph_chart.narrow])
def test_the_largest_graph_is_small_to_send(
    picture: Callable[..., dict[str, object]], language: str
):
    shown = draw.visible(crowd(), TOTAL_S)
    spec = picture(drawn(shown, ""), DARK, Say(language))

    assert len(shown.nodes) == 30
    assert len(shown.edges) <= draw.MOST_EDGES + 60
    assert len(json.dumps(spec)) < 500_000
    assert json.dumps(spec).count('"name": "node"') == 1


def test_an_empty_graph_has_a_layout_too():
    for lay in LAYOUTS.values():
        assert laid(lay, WaitGraph((), ())).boxes == ()


@pytest.mark.parametrize(
    ("text", "most", "lines"),
    [
        ("POST /v1/activities/suggest", 20, ("POST /v1/activities/", "suggest")),
        ("db.pool:main", 20, ("db.pool:main",)),
        ("a" * 50, 10, ("a" * 10, "a" * 10, "a" * 9 + "…")),
        ("", 10, ("–",)),
        ("one two three four five six seven", 10, ("one two", "three four", "five six…")),
    ],
)
def test_words_are_broken_where_they_may_be(text: str, most: int, lines: tuple[str, ...]):
    assert wrapped(text, most, 3) == lines
    assert all(len(line) <= most for line in wrapped(text, most, 3))
