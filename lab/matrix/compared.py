"""Simpler methods and less evidence, on the same run: what each of them would have named.

Every simpler method picks one place a victim; what it picked is then judged by the engine's own
table of causes, which is more than any of them has. Most victims' pick counts.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from why504 import names
from why504.diagnose import explain
from why504.diagnose.activities import Activities
from why504.diagnose.activity import Segment
from why504.diagnose.blame import Blamer, leaf_key, resource_key
from why504.diagnose.causes import UNKNOWN, judge
from why504.diagnose.classic import self_times
from why504.diagnose.facts import Facts
from why504.diagnose.leaves import Resting, leaf_of
from why504.diagnose.overlay import Backends, lay_locks, lay_stalls
from why504.diagnose.peers import with_nested_calls
from why504.model import Evidence, Hold, Incident, Leaf, Span, Victim

NOTHING: Final = "N0"
Pick = Span | Hold | None
Picker = Callable[["_Run", Victim], Pick]


def baselines(evidence: Evidence, victims: Sequence[Victim]) -> dict[str, str]:
    """Return what each simpler method names; nothing where there are no victims."""
    if not victims:
        return dict.fromkeys(BASELINES, NOTHING)
    run = _Run(evidence, victims)
    return {name: run.named(picker) for name, picker in BASELINES.items()}


def stock_baseline(stock: Evidence, victims: Sequence[Victim]) -> str:
    """Return what the longest span of stock OpenTelemetry names."""
    return _Run(stock, victims).named(_longest_span) if victims else NOTHING


def ablated(evidence: Evidence) -> dict[str, str]:
    """Return what the engine itself names with less evidence."""
    return {name: _cause_of(explain(less(evidence))) for name, less in ABLATIONS.items()}


def _cause_of(incidents: Sequence[Incident]) -> str:
    largest = max(incidents, key=lambda incident: len(incident.victims), default=None)
    return NOTHING if largest is None else largest.finding.cause


@dataclass(slots=True)
class _Member:
    resting: Resting
    victims: int = 0


class _Run:
    """The evidence of one run, as the methods look at it."""

    def __init__(self, evidence: Evidence, victims: Sequence[Victim]) -> None:
        self.evidence = replace(evidence, spans=with_nested_calls(evidence))
        self.victims = victims
        self.activities = Activities(self.evidence)
        backends = Backends(self.evidence)
        lay_locks(self.evidence, self.activities, backends)
        lay_stalls(self.evidence, self.activities)
        self.blamer = Blamer(self.evidence, self.activities, backends)
        self.facts = Facts(victims, self.blamer)
        self.spans: dict[str, list[Span]] = defaultdict(list)
        for span in self.evidence.spans:
            if span.service != names.GATEWAY_SERVICE:
                self.spans[span.trace_id].append(span)

    def named(self, picker: Picker) -> str:
        """Return the cause of what a method picked for most victims."""
        found: dict[tuple[str, str, str], _Member] = {}
        for victim in self.victims:
            pick = picker(self, victim)
            if pick is None:
                continue
            leaf, peer, via = self._leaf(pick)
            member = found.setdefault(leaf_key(leaf), _Member(Resting(leaf, peer)))
            member.victims += 1
            member.resting.by_resource[via] += 1.0
            member.resting.by_trace[pick.trace_id] += 1.0
            member.resting.sources.setdefault(pick.span_id, pick)
        most = max(found.values(), key=lambda member: member.victims, default=None)
        cause = judge(self.facts.case(most.resting)) if most else None
        return cause.id if cause else UNKNOWN

    def _leaf(self, pick: Span | Hold) -> tuple[Leaf, str, str]:
        if isinstance(pick, Hold):
            return Leaf("run", f"holder of {pick.resource}", pick.site), "", resource_key(pick)
        kind = "ext" if pick.kind == "client" else "run"
        end_ns = self.blamer.end_of(pick)
        leaf, peer = leaf_of(Segment(pick.start_ns, end_ns, kind, pick), self.activities.of(pick))
        return leaf, peer, ""


def _random_span(run: _Run, victim: Victim) -> Pick:
    spans = run.spans.get(victim.trace_id, [])
    return random.Random(victim.trace_id).choice(spans) if spans else None


def _longest_span(run: _Run, victim: Victim) -> Pick:
    """The longest one below the request itself: that one always is the longest."""
    spans = run.spans.get(victim.trace_id, [])
    below = [span for span in spans if span.kind != "server"] or spans
    return max(below, key=lambda s: run.blamer.end_of(s) - s.start_ns, default=None)


def _one_hop_holder(run: _Run, victim: Victim) -> Pick:
    """Whoever had what the request waited for when the gateway gave up."""
    activity = next((run.activities.of(s) for s in run.spans.get(victim.trace_id, [])), None)
    segments = list(activity.between(victim.start_ns, victim.gave_up_ns)) if activity else []
    source = segments[-1].source if segments else None
    if source is None or isinstance(source, Span) or not source.resource:
        return source if isinstance(source, Span) else None
    return run.blamer.holder_at(resource_key(source), victim.gave_up_ns - 1)


def _critical_path(run: _Run, victim: Victim) -> Pick:
    """The span with most time of its own on the trace's critical path, by Jaeger UI's rules."""
    spans = [
        replace(span, end_ns=min(run.blamer.end_of(span), victim.gave_up_ns))
        for span in run.spans.get(victim.trace_id, [])
        if span.start_ns < victim.gave_up_ns
    ]
    times_ns = self_times(spans, "jaeger")
    best = max(times_ns, key=lambda key: times_ns[key], default=None)
    originals = (s for s in run.spans[victim.trace_id] if best and s.span_id == best[1])
    return next(originals, None)


BASELINES: Final[Mapping[str, Picker]] = {
    "random span": _random_span,
    "longest span": _longest_span,
    "one-hop holder": _one_hop_holder,
    "critical path": _critical_path,
}


def _sampled(evidence: Evidence) -> Evidence:
    """One trace in a hundred, and the gateway's log, which samples nothing."""

    def kept(trace_id: str) -> bool:
        return int(hashlib.sha256(trace_id.encode()).hexdigest(), 16) % 100 == 0

    return replace(
        evidence,
        spans=[s for s in evidence.spans if s.service == names.GATEWAY_SERVICE or kept(s.trace_id)],
        waits=[r for r in evidence.waits if kept(r.trace_id)],
        holds=[r for r in evidence.holds if kept(r.trace_id)],
        stalls=[r for r in evidence.stalls if kept(r.trace_id)],
    )


ABLATIONS: Final[Mapping[str, Callable[[Evidence], Evidence]]] = {
    "holds removed": lambda evidence: replace(evidence, holds=()),
    "stalls removed": lambda evidence: replace(evidence, stalls=()),
    "1 % sampling": _sampled,
}
