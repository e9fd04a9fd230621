"""Everything that a post-mortem tells of one incident, collected from a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dashboards import windows
from dashboards.draw.stack import with_stack
from why504.diagnose import explain
from why504.diagnose.compared import Compared, compared
from why504.diagnose.timeline import Timeline, timeline
from why504.errors import ConfigError
from why504.model import Evidence, Incident, Site, Victim, Window
from why504.stack import folder
from why504.stores.base import EvidenceStore

EXAMPLES: Final = 2


@dataclass(frozen=True, slots=True)
class Example:
    """One request that was hit, with what is stored of it and of its holder."""

    victim: Victim
    own: Evidence
    holder: Evidence | None
    """None where nobody held it, or it held itself."""
    stack: str
    """Of what it did when the gateway gave up; empty where nobody told."""
    holder_stack: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """One incident with everything that explains it."""

    incident: Incident
    """With its replay."""
    timeline: Timeline | None
    compared: Sequence[Compared]
    examples: Sequence[Example]
    """At most two, of different fates; none for an incident without victims."""
    cause_page: str
    """Markdown of this project about the cause; empty for a cause without a page."""
    covered: Window
    """What the store knows of."""
    made_ns: int
    address: str = ""
    """Where the explorer shows the incident; empty if nobody knows."""


def collect(
    store: EvidenceStore, incident: Incident, *, made_ns: int, address: str = ""
) -> Dossier:
    """Return the dossier of an incident; takes seconds, for the incident is played again.

    Args:
        store: in which the incident was found.
        incident: as `explain` tells it.
        made_ns: now, Unix nanoseconds.
        address: of the incident's page.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    around = windows.around(incident.window)
    evidence = store.sample(around)
    return Dossier(
        incident=incident if incident.replay else _replayed(incident, evidence),
        timeline=timeline(evidence, incident),
        compared=compared(evidence, incident),
        examples=[_example(store, victim) for victim in _chosen(incident)],
        cause_page=cause_page(incident.finding.cause),
        covered=store.extent() or around,
        made_ns=made_ns,
        address=address,
    )


def cause_page(cause: str) -> str:
    """Return what this project says of a cause, as Markdown; empty where it has no page."""
    try:
        pages = {page.stem: page for page in (folder() / "docs" / "causes").glob("*.md")}
    except ConfigError:
        return ""
    return pages[cause].read_text(encoding="utf-8") if cause in pages else ""


def _replayed(incident: Incident, evidence: Evidence) -> Incident:
    """Return the incident with its replay; everything else stays as it was told before."""
    for again in explain(evidence, what_if=True):
        if again.id == incident.id:
            return replace(incident, replay=again.replay, graph=incident.graph or again.graph)
    return incident


def _chosen(incident: Incident) -> list[Victim]:
    """Return who shows best what happened, and one who fared otherwise."""
    top = incident.blames[0].leaf if incident.blames else None
    ranked = sorted(
        incident.victims,
        key=lambda victim: (
            victim.leaf != top,
            victim.holder_trace_id is None,
            not victim.reached_app,
            victim.gave_up_ns,
        ),
    )
    first, others = ranked[:1], ranked[1:]
    by_leaf = [victim for victim in others if victim.leaf != first[0].leaf]
    by_route = [victim for victim in others if victim.route != first[0].route]
    return [*first, *by_leaf, *by_route][:EXAMPLES]


def _example(store: EvidenceStore, victim: Victim) -> Example:
    own = store.trace(victim.trace_id)
    held = victim.holder_trace_id not in (None, victim.trace_id)
    holder = store.trace(victim.holder_trace_id) if victim.holder_trace_id and held else None
    return Example(
        victim=victim,
        own=own,
        holder=holder,
        stack=_stack(own, victim.blocking_span_id, None),
        holder_stack=_stack(holder, None, victim.leaf.site) if holder else "",
    )


def _stack(evidence: Evidence, span_id: str | None, site: Site | None) -> str:
    return next((item.stack for item in with_stack(evidence, span_id, site)), "")
