"""A wait-for graph by hand: two routes, a pool, its holders, a broker; and what goes elsewhere."""

from __future__ import annotations

from tests.unit.dashboards import explorer_examples as told
from why504.model import Edge, Incident, Node, WaitGraph

SUGGEST = Node("victims-1", "victims", told.SUGGEST, 3, 180.0, trace_ids=(told.trace(1),))
END = Node("victims-2", "victims", told.END, 1, 60.0, trace_ids=(told.trace(2),))
POOL = Node(
    "resource-1", "resource", "db.pool:main", 0, 236.0, evidence=("15 of 15 in use, 97 waiting",)
)
HOLDERS = Node(
    "holders-1", "holders", told.END, 15, 236.0, told.TAKEN, ("15 holds, longest 61.5 s",),
    (told.trace(200), told.trace(3), told.trace(77)),
)  # fmt: skip
BROKER = Node(
    "leaf-1", "run", told.BROKER.what, 0, 231.0, told.PUBLISH, ("4 of the 4 lost most here",)
)
REST = Node("leaf-more", "several", "and 2 more places", 0, 9.0)


def graph() -> WaitGraph:
    edges = (
        Edge("resource-1", "holders-1", 236.0),
        Edge("holders-1", "leaf-1", 231.0),
        Edge("victims-1", "resource-1", 178.0),
        Edge("victims-2", "resource-1", 58.0),
        Edge("holders-1", "leaf-more", 5.0),
        Edge("victims-1", "leaf-more", 2.0),
        Edge("victims-2", "leaf-more", 2.0),
    )
    return WaitGraph((SUGGEST, END, POOL, HOLDERS, BROKER, REST), edges)


def incident(**changes: object) -> Incident:
    told_of = told.finding(leaves=(told.BROKER,))
    return told.pool_incident(**{"graph": graph(), "finding": told_of, **changes})
