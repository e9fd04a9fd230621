"""The wait-for graph: who waited for whom, with every second of blame in it exactly once."""

import json
import math
import random
from collections import defaultdict
from dataclasses import replace

import pytest
from evidence_by_hand import Scene, hexid, site
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engine import pool_scene

from why504 import names
from why504.diagnose import explain
from why504.diagnose.graph import MOST, roots_of
from why504.model import Incident, Node, Sample, WaitGraph
from why504.report import as_json

LEAVES = {
    "run", "stall", "ext", "leak", "session", "starved", "backoff", "unknown", "cycle", "several",
}  # fmt: skip


def graph_of(scene: Scene) -> tuple[Incident, WaitGraph]:
    [incident] = explain(scene.evidence())
    assert incident.graph is not None
    return incident, incident.graph


def node(graph: WaitGraph, kind: str, what: str = "") -> Node:
    [found] = [n for n in graph.nodes if n.kind == kind and what in n.what]
    return found


def carried(graph: WaitGraph, source: Node, target: Node) -> float:
    return sum(e.seconds for e in graph.edges if (e.source, e.target) == (source.id, target.id))


def sums(graph: WaitGraph, kinds: set[str]) -> float:
    return math.fsum(n.seconds for n in graph.nodes if n.kind in kinds)


def leads_back(graph: WaitGraph) -> bool:
    """Whether anything can be walked in a circle: what nothing leads to is taken away in turn."""
    edges = {(e.source, e.target) for e in graph.edges}
    left = {n.id for n in graph.nodes}
    while free := left - {target for source, target in edges if source in left}:
        left -= free
    return bool(left)


def conserved(incident: Incident) -> None:
    graph = incident.graph
    assert graph is not None
    assert sums(graph, {"victims"}) == pytest.approx(incident.blame_in_s, rel=1e-6)
    assert sums(graph, LEAVES) == pytest.approx(incident.blame_out_s, rel=1e-6)
    ids = {n.id for n in graph.nodes}
    assert len(ids) == len(graph.nodes) <= sum(MOST.values()) == 30
    entering, leaving = defaultdict(float), defaultdict(float)
    for edge in graph.edges:
        assert {edge.source, edge.target} <= ids
        assert 0 < edge.seconds <= incident.blame_in_s * (1 + 1e-9)
        entering[edge.target] += edge.seconds
        leaving[edge.source] += edge.seconds
    for n in graph.nodes if not leads_back(graph) else ():
        if n.kind != "victims":
            assert entering[n.id] == pytest.approx(n.seconds, rel=1e-6, abs=1e-9)
        if n.kind not in LEAVES:
            assert leaving[n.id] == pytest.approx(n.seconds, rel=1e-6, abs=1e-9)


def test_victims_wait_for_a_pool_whose_holders_wait_for_an_llm():
    incident, graph = graph_of(pool_scene())
    victims = node(graph, "victims", "POST /v1/x")
    pool = node(graph, "resource", "db.pool:main")
    holders = node(graph, "holders", "POST /v1/score")
    llm = node(graph, "ext", "LLM groq llama")

    assert (victims.requests, holders.requests) == (6, 2)
    assert carried(graph, victims, pool) == pytest.approx(6 * 4.99)
    assert carried(graph, pool, holders) == pytest.approx(6 * 4.99)
    assert carried(graph, holders, llm) == pytest.approx(holders.seconds)
    assert str(holders.site) == "service/publisher.py:10"
    assert str(llm.site) == "service/publisher.py:48"
    assert set(holders.trace_ids) == {hexid("holder0", 32), hexid("holder1", 32)}
    assert "2 holds of db.pool:main, longest 30.0 s, 2 not given back when last told" in (
        holders.evidence
    )
    assert any("(2 of 2 in use" in line for line in pool.evidence)
    assert roots_of(incident) == [llm.id]
    conserved(incident)


def test_a_loop_is_blocked_by_a_request_at_a_line():
    scene = Scene(until_s=20)
    scene.gateway("culprit", 0, 5)
    scene.app("culprit", 0.001, None, "/v1/end")
    scene.stall("culprit", 0.01, None, site(48))
    for n in range(20):
        scene.gateway(f"unseen{n}", 0.5 + n * 0.1, 5.5 + n * 0.1)

    incident, graph = graph_of(scene)
    holder = node(graph, "holders", "POST /v1/end")

    assert carried(graph, node(graph, "resource", "loop:42"), holder) > 20 * 4.99
    assert carried(graph, holder, node(graph, "stall")) == pytest.approx(holder.seconds)
    assert holder.requests == 1
    assert holder.evidence[0] == "1 stall of loop:42, longest 20.0 s, 1 not over when last told"
    conserved(incident)


def test_what_nobody_is_known_to_have_held_leads_straight_to_the_unknown():
    scene = pool_scene()
    scene.holds.clear()

    incident, graph = graph_of(scene)

    unknown = node(graph, "unknown", "nobody is known to have held it")
    assert carried(graph, node(graph, "resource"), unknown) == pytest.approx(6 * 4.99)
    assert not [n for n in graph.nodes if n.kind == "holders"]
    assert roots_of(incident) == []
    conserved(incident)


def ring_scene() -> Scene:
    """Two requests that hold each the one connection of a pool and want that of the other."""
    scene = Scene(until_s=40)
    for n, (has, wants) in enumerate([("one", "two"), ("two", "one")]):
        who = f"ring{n}"
        scene.gateway(who, 1, 31)
        scene.app(who, 1, None, f"/v1/{has}")
        scene.hold(who, 1, None, f"db.pool:{has}", site=site(n))
        scene.wait(who, 1.1, None, f"db.pool:{wants}")
    return scene


def test_a_ring_ends_and_is_shown():
    incident, graph = graph_of(ring_scene())

    assert leads_back(graph)
    assert sums(graph, {"cycle"}) > 0.9 * incident.blame_in_s
    assert {n.what for n in graph.nodes if n.kind == "holders"} == {"POST /v1/one", "POST /v1/two"}
    assert max(n.seconds for n in graph.nodes) <= incident.blame_in_s
    conserved(incident)


def test_a_crowd_of_routes_and_resources_is_merged_without_losing_a_second():
    scene = Scene(until_s=60)
    for n in range(120):
        who, resource = f"victim{n}", f"db.pool:p{n}"
        scene.gateway(who, n * 0.01, n * 0.01 + 10 + n * 0.02)
        scene.app(who, n * 0.01, None, f"/v1/route{n}")
        scene.wait(who, n * 0.01 + 0.5, None, resource)
        scene.app(f"holder{n}", 0, None, f"/v1/holder{n}")
        scene.hold(f"holder{n}", 0, None, resource, site=site(n))
        scene.span(f"holder{n}", "http", "app", 0, None, kind="client", name=f"GET {n}",
                   **{names.SERVER_ADDRESS: f"peer{n}"})  # fmt: skip

    incident, graph = graph_of(scene)

    conserved(incident)
    assert len(graph.nodes) == 30
    rest = node(graph, "victims", "and 115 more routes")
    assert rest.requests == 115
    assert len(rest.evidence) == 6
    assert rest.evidence[-1] == "and 110 more"
    assert node(graph, "resource", "and 113 more resources").requests == 0
    assert node(graph, "holders", "and 113 more holders").requests == 113


def test_small_ones_are_merged_even_where_there_is_room():
    scene = pool_scene()
    for n in range(4):
        scene.span("victim0", f"own{n}", "app", 1 + n * 0.002, 1.002 + n * 0.002, site=site(60 + n))

    incident, graph = graph_of(scene)

    assert node(graph, "run", "more places").seconds == pytest.approx(0.06)
    conserved(incident)


def test_of_a_sample_all_are_counted_for_whom_one_stands():
    stands_for = {hexid(f"victim{n}", 32): 10.0 for n in range(6)} | {hexid("holder0", 32): 3.0}
    evidence = replace(pool_scene().evidence(), sample=Sample(stands_for, {}, 64))

    [incident] = explain(evidence)

    graph = incident.graph
    assert graph is not None
    assert node(graph, "victims", "/v1/x").requests == 60
    assert node(graph, "victims", "/v1/score").requests == 4
    assert node(graph, "holders").requests == 4
    assert any(line.startswith("4 holds") for line in node(graph, "holders").evidence)
    conserved(incident)


def test_the_same_evidence_in_another_order_is_the_same_graph():
    evidence = ring_scene().evidence()
    turned = replace(
        evidence, spans=evidence.spans[::-1], holds=evidence.holds[::-1], waits=evidence.waits[::-1]
    )

    [first], [second] = explain(evidence), explain(turned)

    assert first.graph is not None
    assert second.graph is not None
    assert [n.id for n in first.graph.nodes] == [n.id for n in second.graph.nodes]
    assert [n.seconds for n in first.graph.nodes] == pytest.approx(
        [n.seconds for n in second.graph.nodes]
    )


def test_ids_may_stand_in_an_address_whatever_telemetry_says():
    scene = pool_scene()
    hostile = "/v1/<b>&node=x?#" + "\u202e" * 50_000
    scene.gateway("evil", 1, 6)
    scene.app("evil", 1, None, hostile)
    scene.wait("evil", 1.1, None)

    _, graph = graph_of(scene)

    assert all(len(n.id) < 40 for n in graph.nodes)
    assert all(n.id.replace("-", "").isalnum() for n in graph.nodes)


def test_machines_are_told_the_graph():
    incident, graph = graph_of(pool_scene())

    told = json.loads(json.dumps(as_json(incident)))["graph"]

    assert [n["id"] for n in told["nodes"]] == [n.id for n in graph.nodes]
    assert {e["source"] for e in told["edges"]} <= {n["id"] for n in told["nodes"]}
    assert told["edges"][0]["seconds"] == graph.edges[0].seconds


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_every_second_is_in_the_graph_on_any_evidence(seed):
    rng = random.Random(seed)
    scene = Scene(until_s=60)
    for n in range(rng.randint(1, 12)):
        who = f"r{n}"
        start = rng.uniform(0, 30)
        scene.gateway(who, start, start + rng.uniform(0.001, 10), rng.choice([504, 504, 200]))
        if rng.random() < 0.8:
            end = rng.choice([None, start + rng.uniform(0, 20)])
            scene.app(who, start, end if end is None else end + 4, f"/v1/{rng.randint(0, 9)}")
        for _ in range(rng.randint(0, 3)):
            begin = start + rng.uniform(-1, 12)
            over = rng.choice([None, begin + rng.uniform(0, 9)])
            resource = rng.choice(["db.pool:main", "db.pool:two", "db.lock:t#7"])
            maker = rng.choice([scene.wait, scene.hold])
            maker(who, begin, over, resource, site=site(rng.randint(1, 9)),
                  **{names.BACKEND_PID: rng.randint(1, 9)})  # fmt: skip
        if rng.random() < 0.3:
            begin = start + rng.uniform(-1, 12)
            scene.stall(who, begin, rng.choice([None, begin + rng.uniform(0, 5)]), site(5))

    for incident in explain(scene.evidence()):
        conserved(incident)
