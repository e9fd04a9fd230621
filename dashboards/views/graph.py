"""Who waited for whom, as a graph to walk: a part of the incident page.

A click on a box, or a button, leads to another node; which one is in the address (`node=`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import streamlit as st

from dashboards.draw import graph as draw
from dashboards.draw import graph_chart
from dashboards.draw.text import duration, percent, plain
from dashboards.language import Said
from dashboards.views.lines import lines
from dashboards.visit import Visit
from dashboards.words import graph as words
from why504.diagnose.graph import roots_of
from why504.model import Edge, Incident, Node, WaitGraph

NODE: Final = "node"


def section(visit: Visit, folder: Path, incident: Incident) -> None:
    """Draw it."""
    if incident.graph is None:
        return
    st.header(visit.say(words.TITLE))
    if incident.graph.nodes:
        _walk(visit, incident, incident.graph)
    else:
        st.info(visit.say(words.EMPTY))


@st.fragment
def _walk(visit: Visit, incident: Incident, whole: WaitGraph) -> None:
    st.caption(visit.say(words.READ))
    roots = roots_of(incident)
    chosen = _chosen(visit, whole, roots)
    total_s = max(incident.blame_in_s, 1e-9)
    graph = draw.visible(whole, total_s)
    drawn = draw.Drawn(graph, roots, chosen.id, total_s)
    columns = draw.columns_of(graph)
    if columns:
        with st.container(key=f"graph_columns_{columns}"):
            chart = graph_chart.wide(drawn, visit.ink, visit.say)
            _chart(visit, chart, f"graph_wide_{incident.id}_{chosen.id}")
    with st.container(key=f"graph_rows_{columns}" if columns else "graph_always"):
        chart = graph_chart.narrow(drawn, visit.ink, visit.say)
        _chart(visit, chart, f"graph_narrow_{incident.id}_{chosen.id}")
    with st.container(border=True, key="graph_node"):
        if chosen.id in roots:
            st.caption(f"{draw.ROOT_ICON} {visit.say(words.ROOT)}")
        _panel(visit, incident, whole, chosen)


def _chosen(visit: Visit, graph: WaitGraph, roots: Sequence[str]) -> Node:
    """Return the node that the address names; else the root cause, else where most was lost."""
    nodes = {node.id: node for node in graph.nodes}
    wanted = st.query_params.get(NODE, "")
    if wanted in nodes:
        return nodes[wanted]
    if wanted:
        st.warning(visit.say(words.NO_SUCH_NODE))
    left = {edge.source for edge in graph.edges}
    resting = [node for node in nodes.values() if node.id not in left]
    return nodes[roots[0]] if roots else max(resting, key=lambda node: node.seconds)


def _chart(visit: Visit, chart: dict[str, Any], key: str) -> None:
    """Draw a chart; a click on one of its boxes chooses that node.

    The key names the chosen node: a box that was left by a button can be clicked again.
    """

    def clicked() -> None:
        picked = st.session_state[key]["selection"].get(graph_chart.NODE, [])
        if picked:
            _choose(str(picked[0].get("id", "")))

    st.vega_lite_chart(
        spec=chart,
        key=key,
        on_select=clicked,
        selection_mode=[graph_chart.NODE],
        alt=visit.say(words.ALT),
    )


def _choose(node_id: str) -> None:
    st.query_params[NODE] = node_id


def _panel(visit: Visit, incident: Incident, graph: WaitGraph, node: Node) -> None:
    say = visit.say
    with st.container(key="node_name"):
        st.text(draw.named(node, say))
    st.caption(say(words.EXPLAINED.get(node.kind, words.RESTS)))
    facts = [say(words.LOST, lost=duration(node.seconds), share=_share(node.seconds, incident))]
    if node.requests:
        facts.append(say(words.REQUESTS, count=node.requests))
    st.text("\n".join([*facts, *(f"• {plain(line)}" for line in node.evidence)]))
    if node.site is not None:
        lines(f"{plain(str(node.site))}  {plain(node.site.function)}", "site")
    nodes = {other.id: other for other in graph.nodes}
    before = [(nodes[edge.source], edge) for edge in graph.edges if edge.target == node.id]
    after = [(nodes[edge.target], edge) for edge in graph.edges if edge.source == node.id]
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(say(words.FROM))
        _neighbours(visit, incident, before, words.GO_BACK, words.NOBODY)
    with right:
        st.markdown(say(words.TO))
        _neighbours(visit, incident, after, words.GO_ON, words.NOTHING)
    _examples(visit, incident, node)


def _share(seconds: float, incident: Incident) -> str:
    return percent(min(1.0, seconds / max(incident.blame_in_s, 1e-9)))


def _neighbours(
    visit: Visit, incident: Incident, told: Sequence[tuple[Node, Edge]], go: Said, none: Said
) -> None:
    """Draw a button for each neighbour, and beside it what the neighbour is."""
    if not told:
        st.text(visit.say(none))
    for number, (node, edge) in enumerate(told, start=1):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            st.button(
                visit.say(go, number=number),
                key=f"walk_{'back' if edge.source == node.id else 'on'}_{number}",
                on_click=_choose,
                args=(node.id,),
            )
            carried = visit.say(
                words.CARRIES, lost=duration(edge.seconds), share=_share(edge.seconds, incident)
            )
            kind = draw.kind_words(node, visit.say)
            st.text(f"{plain(node.what, 160)}\n{kind} · {carried}", width="stretch")


def _examples(visit: Visit, incident: Incident, node: Node) -> None:
    """Draw links to requests in which a node can be seen: 504s, or 504s that waited for them."""
    own = {victim.trace_id: victim for victim in incident.victims}
    waited = {v.holder_trace_id: v for v in reversed(incident.victims) if v.holder_trace_id}
    links = []
    for number, trace_id in enumerate(node.trace_ids, start=1):
        victim = own.get(trace_id) or waited.get(trace_id)
        if victim is not None:
            said = words.EXAMPLE if trace_id in own else words.EXAMPLE_HELD
            links.append((visit.say(said, number=number), victim.trace_id))
    if links:
        st.markdown(visit.say(words.EXAMPLES))
    with st.container(horizontal=True, gap="medium"):
        for label, trace_id in links:
            st.page_link(
                visit.pages["request"],
                label=label,
                icon=":material/waterfall_chart:",
                query_params={"incident": incident.id, "trace": trace_id},
            )
