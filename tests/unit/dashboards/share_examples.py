"""Dossiers built by hand: the pool's hang, and the same with hostile text in every string."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import cycle
from typing import Any

from dashboards.share.dossier import Dossier, Example
from tests.unit.dashboards import explorer_examples as told
from why504.diagnose.compared import Compared
from why504.diagnose.timeline import Moment, Series, Timeline
from why504.model import Counterfactual, Edge, Incident, Node, Replay, WaitGraph, Window

MADE_NS = told.at(7200)
GRAPH = WaitGraph(
    (
        Node("v", "victims", told.SUGGEST, 4, 240.0),
        Node("p", "resource", "db.pool:main", 0, 240.0),
        Node("h", "holders", told.END, 15, 236.0, told.TAKEN),
        Node("l", "run", told.BROKER.what, 0, 231.0, told.PUBLISH),
    ),
    (Edge("v", "p", 240.0), Edge("p", "h", 236.0), Edge("h", "l", 231.0)),
)
REPLAY = Replay(110, 112, (Counterfactual("the broker took at most 3 s", 4, 1, 2),))
TIMELINE = Timeline(
    Window(told.at(-60), told.at(120)),
    10 * told.SECOND,
    (
        Series("timeouts", "", (*[0.0] * 12, 0.4, *[0.0] * 5)),
        Series("pool_in_use", "db.pool:main", (*[3.0] * 6, *[15.0] * 12), 15.0),
        Series("pool_waiting", "db.pool:main", (None, *[0.0] * 5, *[97.0] * 12)),
    ),
    (Moment(told.at(-40), "started", "context-handling, process 4242"),),
)
COMPARED = (
    Compared("requests", told.SUGGEST, 12.0, 3.0),
    Compared("p99", told.SUGGEST, 0.25, 60.0),
    Compared("stalled", "loop:4242", None, 0.1),
)


def incident(**changes: object) -> Incident:
    return told.pool_incident(
        **{
            "replay": REPLAY,
            "graph": GRAPH,
            "people": 3,
            "caveats": ("nobody asked RabbitMQ for alarms",),
            **changes,
        }
    )


def dossier(about: Incident | None = None, **changes: Any) -> Dossier:
    found = about or incident()
    plain = Dossier(
        incident=found,
        timeline=TIMELINE,
        compared=COMPARED,
        examples=[
            Example(victim, told.pool_trace(1), told.holder_trace(), told.STACK, told.STACK)
            for victim in found.victims[:2]
        ],
        cause_page="# F1: broker\n\n## What happens\nIt waits.\n\n## Try it\n`why504 demo F1`\n",
        covered=Window(told.at(-600), told.at(600)),
        made_ns=MADE_NS,
        address="http://127.0.0.1:8501/incident?incident=20261123-230341-pool",
    )
    return replace(plain, **changes)


def planted(*texts: str) -> Dossier:
    """Return a dossier in which telemetry chose every string there is: these texts in turn."""
    return replace(_planted(dossier(), cycle(texts)), cause_page="", address="")


def _planted(item: Any, texts: Iterator[str]) -> Any:
    if isinstance(item, str):
        return next(texts)
    if is_dataclass(item) and not isinstance(item, type):
        changed = {f.name: _planted(getattr(item, f.name), texts) for f in fields(item)}
        return replace(item, **changed)
    if isinstance(item, Mapping):
        return {_planted(key, texts): _planted(value, texts) for key, value in item.items()}
    if isinstance(item, Sequence):
        return type(item)(_planted(one, texts) for one in item)  # type: ignore[call-arg]
    return item
