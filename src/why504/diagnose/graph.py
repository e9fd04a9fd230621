"""The wait-for graph: victims by route -> resource -> holders by route -> ... -> leaves.

Edges carry blame: what enters a node leaves it, so the victims' seconds are the leaves' seconds.
Small nodes are merged, none of their seconds is lost: at most 30 nodes are left. In a ring the same
seconds come by again and again; no node or edge tells of more than there are.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from why504.diagnose import ways
from why504.diagnose.blame import Blamer, Verdict
from why504.diagnose.nodes import HOLDERS, LEAF, RESOURCE, VICTIMS, Place, Teller
from why504.diagnose.ways import Carrier
from why504.model import Edge, Incident, Victim, WaitGraph

MOST: Final = {VICTIMS: 6, RESOURCE: 8, HOLDERS: 8, LEAF: 8}
"""Nodes of each kind, those that stand for several included."""
SMALL_SHARE: Final = 0.005
"""Nodes with less of the blame are merged."""

Ways = Mapping[tuple[Place, Place], float]


def wait_graph(verdict: Verdict, victims: Sequence[Victim], blamer: Blamer) -> WaitGraph:
    """Return who waited for whom: nodes by kind, then most seconds first; heaviest edges first."""
    found = _ways(verdict)
    through_s = _through_s(found)
    mergers = _mergers(through_s, verdict.seconds)
    place_of = {p: merged for merged, several in mergers.items() for p in several}
    edges: dict[tuple[str, str], float] = defaultdict(float)
    for (source, target), seconds in found.items():
        ends = _id(place_of.get(source, source)), _id(place_of.get(target, target))
        edges[ends] = min(edges[ends] + seconds, verdict.seconds)
    teller = Teller(verdict, victims, blamer, through_s)
    nodes = [teller.one(_id(p), p) for p in through_s if p not in place_of]
    nodes += [teller.several(_id(merged), several) for merged, several in mergers.items()]
    order = {_id(p): list(MOST).index(p.kind) for p in (*through_s, *mergers)}
    return WaitGraph(
        sorted(nodes, key=lambda node: (order[node.id], -node.seconds, node.id)),
        [Edge(*ends, s) for ends, s in sorted(edges.items(), key=lambda e: (-e[1], e[0]))],
    )


def roots_of(incident: Incident) -> list[str]:
    """Return the ids of the nodes where the blame of the named cause rests, most blamed first.

    Where no cause is named: none; nor where all of them were merged with others.
    """
    nodes = incident.graph.nodes if incident.graph else ()
    leaves = [(leaf.kind, leaf.what, leaf.site) for leaf in incident.finding.leaves]
    return [node.id for node in nodes if (node.kind, node.what, node.site) in leaves]


def _ways(verdict: Verdict) -> dict[tuple[Place, Place], float]:
    found: dict[tuple[Place, Place], float] = defaultdict(float)
    for (by, to), seconds in verdict.ways.seconds.items():
        if seconds <= 0:
            continue
        if by.via == ways.VICTIMS:
            source = Place(VICTIMS, by.who)
        elif by.who:
            source = Place(HOLDERS, by)
            found[Place(RESOURCE, by.via), source] += seconds
        else:
            source = Place(RESOURCE, by.via)
        found[source, Place(RESOURCE if isinstance(to, str) else LEAF, to)] += seconds
    return found


def _through_s(found: Ways) -> dict[Place, float]:
    """Return what entered each place; of the victims, what left them."""
    through_s: dict[Place, float] = defaultdict(float)
    for (source, target), seconds in found.items():
        through_s[target] += seconds
        if source.kind == VICTIMS:
            through_s[source] += seconds
    return through_s


def _mergers(through_s: Mapping[Place, float], total_s: float) -> dict[Place, Sequence[Place]]:
    """Return the places that are merged, most seconds first, by what they are merged into."""
    mergers: dict[Place, Sequence[Place]] = {}
    for kind, most in MOST.items():
        ranked = sorted(
            (p for p in through_s if p.kind == kind), key=lambda p: (-through_s[p], _id(p))
        )
        large = sum(through_s[p] >= total_s * SMALL_SHARE for p in ranked)
        kept = large if large < most else most - 1
        if len(ranked) - kept > 1 or len(ranked) > most:
            mergers[Place(kind, None)] = ranked[kept:]
    return mergers


def _id(place: Place) -> str:
    """Return an id that tells nothing, so that it may stand in an address."""
    what = place.what
    if what is None:
        return f"{place.kind}-more"
    if isinstance(what, Carrier):
        what = what.via, what.who, str(what.site or "")
    return f"{place.kind}-{hashlib.sha256(repr(what).encode()).hexdigest()[:10]}"
