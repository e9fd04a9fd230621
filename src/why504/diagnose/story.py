"""The story of an incident: which cause, in one sentence, by which chain, with what evidence.

Words only; all figures come from the verdict (blame.py) and the evidence.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from why504 import names
from why504.diagnose.blame import Blamer, Verdict
from why504.diagnose.causes import UNKNOWN, Case, Cause, judge
from why504.diagnose.chain import chain_to, crowd_link
from why504.diagnose.leaves import Resting
from why504.model import Finding, Hold, Site, Stall, Victim, Window

_MECHANISMS = (
    ("db.pool:", "pool"),
    ("loop:", "loop"),
    ("db.lock:", "lock"),
    ("threadpool", "limiter"),
)
"""Prefix of a resource -> how trouble with it reaches the victims."""
_CARRIES_SHARE = 0.2
"""A resource that carried this share of a cause's blame is its mechanism."""
_NAMED_SHARE = 0.3
"""A cause with less of the blame is not named: UNKNOWN is better than wrong."""
_BRIEF_SHARE = 0.1
"""A hold shorter than this share of the victims' wait is brief."""


@dataclass(slots=True)
class Suspect:
    """A row of the taxonomy and all leaves that it explains."""

    cause: Cause | None
    leaves: list[Resting] = field(default_factory=list)
    crowded: bool = False
    """Whether no leaf is to blame but their number."""

    @property
    def seconds(self) -> float:
        """Return the blame of all its leaves."""
        return math.fsum(leaf.seconds for leaf in self.leaves)

    @property
    def top(self) -> Resting:
        """Return the leaf with most blame."""
        return max(self.leaves, key=lambda leaf: leaf.seconds)


def tell(verdict: Verdict, victims: Sequence[Victim], blamer: Blamer) -> Finding:
    """Return the named cause of an incident, or UNKNOWN with what is missing."""
    suspects = _suspects(verdict, victims, blamer)
    total_s = verdict.seconds or 1.0
    named = [s for s in suspects if s.cause is not None]
    best = max(named, key=lambda s: s.seconds, default=None)
    unknown_s = math.fsum(r.seconds for r in verdict.resting.values() if r.leaf.kind == "unknown")
    if best is None or best.seconds < max(unknown_s, total_s * _NAMED_SHARE):
        return _unknown(verdict, victims, blamer)
    return _named(best, suspects, verdict, victims, blamer)


def _suspects(verdict: Verdict, victims: Sequence[Victim], blamer: Blamer) -> list[Suspect]:
    by_cause: dict[str, Suspect] = {}
    wait_s = median([(v.gave_up_ns - v.start_ns) / 1e9 for v in victims])
    window = Window(min(v.start_ns for v in victims), max(v.gave_up_ns for v in victims))
    for resting in verdict.resting.values():
        resource = _last_resource([resting])
        case = Case(
            resting=resting,
            last_resource=resource,
            crowded=_crowded(blamer.holds_of(resource), blamer, window, wait_s),
            cpu_share=_cpu_share(resting),
        )
        cause = judge(case)
        suspect = by_cause.setdefault(cause.id if cause else "", Suspect(cause))
        suspect.leaves.append(resting)
        suspect.crowded = cause is not None and cause.of_a_crowd
    return list(by_cause.values())


def _last_resource(leaves: Sequence[Resting]) -> str:
    """Return the resource that carried most of the blame; empty when hardly any was carried."""
    carried: dict[str, float] = defaultdict(float)
    for leaf in leaves:
        for resource, seconds in leaf.by_resource.items():
            carried[resource] += seconds
    total_s = math.fsum(carried.values())
    carried.pop("", None)
    best = max(carried, key=lambda resource: carried[resource], default="")
    return best if best and carried[best] >= total_s * _CARRIES_SHARE else ""


def _crowded(holds: Sequence[Hold], blamer: Blamer, window: Window, wait_s: float) -> bool:
    """Return whether most of the time in which a resource was held was held briefly."""
    brief_ns, long_ns = 0, 0
    for hold in holds:
        start_ns, end_ns = hold.start_ns, blamer.hold_end(hold)
        inside_ns = min(end_ns, window.end_ns) - max(start_ns, window.start_ns)
        if inside_ns <= 0:
            continue
        if (end_ns - start_ns) / 1e9 < wait_s * _BRIEF_SHARE:
            brief_ns += inside_ns
        else:
            long_ns += inside_ns
    return brief_ns > long_ns


def _cpu_share(resting: Resting) -> float:
    stalls = [s for s in resting.sources.values() if isinstance(s, Stall)]
    length_s = math.fsum((max(s.end_ns or 0, s.last_seen_ns) - s.start_ns) / 1e9 for s in stalls)
    burned = (s.attributes.get(names.STALL_CPU_S, 0.0) for s in stalls)
    burned_s = math.fsum(float(value) for value in burned if isinstance(value, int | float))
    return burned_s / length_s if length_s > 0 else 0.0


def mechanism_of(resource: str) -> str:
    """Return how a resource's trouble reaches the victims: pool, loop, lock, limiter or none."""
    return next((word for prefix, word in _MECHANISMS if resource.startswith(prefix)), "none")


def _named(
    best: Suspect,
    suspects: Sequence[Suspect],
    verdict: Verdict,
    victims: Sequence[Victim],
    blamer: Blamer,
) -> Finding:
    cause = best.cause
    assert cause is not None  # noqa: S101 - chosen among the named ones by the caller
    resource = _last_resource(best.leaves)
    site = _site(best, resource, blamer)
    says = cause.says.format(
        site=site or "an unknown line",
        what=best.top.leaf.what,
        resource=resource.partition(" of ")[0] or "the resource",
    )
    chain = chain_to(best.top, verdict, victims, blamer)
    if best.crowded:
        chain[-1] = crowd_link(resource, best.seconds, victims, blamer)
    total_s = verdict.seconds or 1.0
    return Finding(
        cause=cause.id,
        title=cause.title,
        mechanism=mechanism_of(resource),
        site=site,
        sentence=f"{chain[0].what}: {says}.",
        chain=chain,
        evidence_for=[
            f"{best.seconds / total_s:.0%} of the {total_s:.0f} s that victims lost rests here",
            cause.proof,
        ],
        evidence_against=_against(best, suspects, victims, total_s),
        advice=[line.format(site=site or "that line") if "{" in line else line
                for line in cause.advice],
        confidence=best.seconds / total_s,
    )  # fmt: skip


def _site(best: Suspect, resource: str, blamer: Blamer) -> Site | None:
    """Return the line to look at: of the leaf, else where the blamed resource was taken."""
    if best.top.site is not None:
        return best.top.site
    counts: dict[Site, int] = defaultdict(int)
    for hold in blamer.holds_of(resource):
        if hold.site is not None:
            counts[hold.site] += 1
    return max(counts, key=lambda site: counts[site], default=None)


def _against(
    best: Suspect, suspects: Sequence[Suspect], victims: Sequence[Victim], total_s: float
) -> list[str]:
    lines = [
        f"{other.seconds / total_s:.0%} of the lost time rests on {other.top.leaf.what}"
        + (f" ({other.cause.id})" if other.cause else "")
        for other in sorted(suspects, key=lambda s: -s.seconds)
        if other is not best and other.seconds >= total_s * 0.02
    ]
    unexplained = sum(not victim.explained for victim in victims)
    if unexplained:
        lines.append(f"{unexplained} of {len(victims)} requests can't be explained")
    return lines or ["nothing speaks against it: all lost time rests here"]


def _unknown(verdict: Verdict, victims: Sequence[Victim], blamer: Blamer) -> Finding:
    top = max(verdict.resting.values(), key=lambda resting: resting.seconds)
    chain = chain_to(top, verdict, victims, blamer)
    total_s = verdict.seconds or 1.0
    return Finding(
        cause=UNKNOWN,
        title="The evidence does not name a cause",
        mechanism=mechanism_of(_last_resource([top])) if top.leaf.kind != "unknown" else "unknown",
        site=top.site,
        sentence=f"{chain[0].what}: most of their time was lost in {top.leaf.what}, "
        "and nothing that was recorded says why.",
        chain=chain,
        evidence_for=[f"{r.seconds / total_s:.0%} of the lost time: {r.leaf.what}"
                      for r in sorted(verdict.resting.values(), key=lambda r: -r.seconds)[:3]],
        evidence_against=["no cause of the taxonomy has a third of the lost time"],
        advice=[
            "Check that the probe runs in every worker: why504.instrument(app, engine=engine).",
            "Look at what is stuck now: why504 ps.",
        ],
        confidence=0.0,
    )  # fmt: skip
