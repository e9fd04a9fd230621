"""The story of an incident: which cause, in one sentence, by which chain, with what evidence.

Words only; all figures come from the verdict (blame.py) and the evidence.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import median

from why504 import names
from why504.diagnose.blame import Blamer, Verdict
from why504.diagnose.causes import UNKNOWN, Case, Cause, judge
from why504.diagnose.chain import chain_to, crowd_link, held_by, in_words
from why504.diagnose.leaves import Resting
from why504.model import Finding, Hold, Site, Stall, Victim

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
_BRIEF_SHARE = 0.25
"""A hold shorter than this share of the victims' wait is brief ..."""
_BRIEF_S = 1.0
"""... unless it is longer than this: gateways that wait for a minute make no call short."""
_LONG_SHARE = 0.5
"""A call that takes this share of the victims' wait is slow by itself."""
_NEARLY_ALL = 0.8
"""A cause with less of the blame is told together with its share."""


@dataclass(slots=True)
class Suspect:
    """A row of the taxonomy and all leaves that it explains."""

    cause: Cause | None
    leaves: list[Resting] = field(default_factory=list)

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
    named = [s for s in suspects if s.cause is not None]
    best = max(named, key=lambda s: s.seconds, default=None)
    unnamed_s = math.fsum(s.seconds for s in suspects if s.cause is None)
    if best is None or best.seconds < max(unnamed_s, verdict.seconds * _NAMED_SHARE):
        return _unknown(named, verdict, victims, blamer)
    return _named(best, suspects, verdict, victims, blamer)


def _suspects(verdict: Verdict, victims: Sequence[Victim], blamer: Blamer) -> list[Suspect]:
    by_cause: dict[str, Suspect] = {}
    wait_s = median([(v.gave_up_ns - v.start_ns) / 1e9 for v in victims])
    crowded = cache(lambda resource: _crowded(held_by(resource, victims, blamer), blamer, wait_s))
    window = min(v.start_ns for v in victims), max(v.gave_up_ns for v in victims)
    watched = blamer.backends.watched(*window)
    for resting in verdict.resting.values():
        resource = _last_resource([resting])
        cause = judge(
            Case(
                resting=resting,
                last_resource=resource,
                crowded=crowded(resource),
                long=_mostly(_lengths_s([resting], blamer), wait_s * _LONG_SHARE),
                locks_in_doubt=blamer.backends.doubtful or not watched,
                cpu_share=_cpu_share([resting], blamer) or 0.0,
            )
        )
        suspect = by_cause.setdefault(cause.id if cause else "", Suspect(cause))
        suspect.leaves.append(resting)
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


def _crowded(holds: Sequence[Hold], blamer: Blamer, wait_s: float) -> bool:
    """Return whether most of the time in which a resource was held was held briefly."""
    lengths_s = [(blamer.end_of(hold) - hold.start_ns) / 1e9 for hold in holds]
    return bool(holds) and not _mostly(lengths_s, min(wait_s * _BRIEF_SHARE, _BRIEF_S))


def _mostly(lengths_s: Sequence[float], limit_s: float) -> bool:
    """Return whether half of all the time, or more, is in lengths of at least `limit_s`."""
    return math.fsum(x for x in lengths_s if x >= limit_s) * 2 >= math.fsum(lengths_s)


def _lengths_s(leaves: Sequence[Resting], blamer: Blamer) -> list[float]:
    sources = [source for leaf in leaves for source in leaf.sources.values()]
    return [(blamer.end_of(source) - source.start_ns) / 1e9 for source in sources]


def _cpu_share(leaves: Sequence[Resting], blamer: Blamer) -> float | None:
    """Return CPU seconds per second of stall; None where nobody told."""
    length_s, burned_s = 0.0, 0.0
    for stall in (s for leaf in leaves for s in leaf.sources.values() if isinstance(s, Stall)):
        value = stall.attributes.get(names.STALL_CPU_S)
        if isinstance(value, int | float):
            burned_s += value
            # Told together with the latest row, so it is of the time until then.
            length_s += ((stall.end_ns or stall.last_seen_ns) - stall.start_ns) / 1e9
    return burned_s / length_s if length_s > 0 else None


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
    cpu_share = _cpu_share(best.leaves, blamer)
    facts = {
        "site": site or "an unknown line",
        "what": best.top.leaf.what,
        "resource": in_words(resource) if resource else "something",
        "longest": f"{max(_lengths_s(best.leaves, blamer), default=0.0):.1f} s",
        "cpu": "an unknown share" if cpu_share is None else f"{cpu_share:.0%}",
    }
    chain = chain_to(best.top, verdict, victims, blamer)
    if cause.of_a_crowd:
        chain[-1] = crowd_link(resource, best.seconds, victims, blamer)
    share = best.seconds / verdict.seconds
    part = "" if share >= _NEARLY_ALL else f" ({share:.0%} of the lost time)"
    return Finding(
        cause=cause.id,
        title=cause.title,
        mechanism=mechanism_of(resource),
        site=site,
        sentence=f"{chain[0].what}: {cause.says.format(**facts)}{part}.",
        chain=chain,
        evidence_for=[
            f"{share:.0%} of the {verdict.seconds:.0f} s that victims lost rests here",
            cause.proof.format(**facts),
        ],
        evidence_against=_against(best, suspects, victims, verdict.seconds),
        advice=[line.format(**facts) for line in cause.advice],
        confidence=share,
    )


def _site(best: Suspect, resource: str, blamer: Blamer) -> Site | None:
    """Return the line to look at: of the leaf, else where its resource was wanted or taken."""
    if best.top.site is not None:
        return best.top.site
    counts = Counter(blamer.backends.waiting_lines.get(resource))
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
    return lines or ["nothing speaks against it: hardly any lost time rests elsewhere"]


def _unknown(
    named: Sequence[Suspect], verdict: Verdict, victims: Sequence[Victim], blamer: Blamer
) -> Finding:
    top = max(verdict.resting.values(), key=lambda resting: resting.seconds)
    chain = chain_to(top, verdict, victims, blamer)
    ranked = sorted(verdict.resting.values(), key=lambda resting: -resting.seconds)
    return Finding(
        cause=UNKNOWN,
        title="The evidence does not name a cause",
        mechanism=mechanism_of(_last_resource([top])) if top.leaf.kind != "unknown" else "unknown",
        site=top.site,
        sentence=f"{chain[0].what}: no cause can be named; "
        f"{top.seconds / verdict.seconds:.0%} of the lost time: {top.leaf.what}.",
        chain=chain,
        evidence_for=[
            f"{resting.seconds / verdict.seconds:.0%} of the lost time: {resting.leaf.what}"
            for resting in ranked[:3]
        ],
        evidence_against=[
            f"{s.seconds / verdict.seconds:.0%} of the lost time speaks for {s.cause.title} "
            f"({s.cause.id}): too little to name it"
            for s in sorted(named, key=lambda s: -s.seconds)
            if s.cause is not None
        ]
        or ["nothing of what was recorded is a cause that why504 knows"],
        advice=[
            "Check that the probe runs in every worker: why504.instrument(app, engine=engine).",
            "Look at what is stuck now: why504 ps.",
        ],
        confidence=0.0,
    )
