"""The engine: evidence in, incidents with a named cause out. Pure.

victims -> activities -> overlays (locks, stalls) -> blame -> judge -> story
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from why504 import names
from why504.diagnose.activities import Activities
from why504.diagnose.blame import Blamer, Verdict, leaf_key
from why504.diagnose.overlay import Backends, lay_locks, lay_stalls
from why504.diagnose.peers import with_nested_calls
from why504.diagnose.story import tell
from why504.diagnose.victims import bursts, find_victims
from why504.diagnose.walk import Walker
from why504.model import Blame, Evidence, Incident, Span, Victim, Window

_MOST_TRACES = 5


def explain(evidence: Evidence) -> list[Incident]:
    """Return the incidents of some evidence, oldest first; none when nobody timed out.

    In every incident the seconds of blame equal the seconds that its victims lost, to 1e-6.
    """
    # A span that was stored twice is one span: a row more would be a victim more.
    evidence = replace(evidence, spans=with_nested_calls(evidence))
    victims = find_victims(evidence)
    if not victims:
        return []
    activities = Activities(evidence)
    backends = Backends(evidence)
    lay_locks(evidence, activities, backends)
    lay_stalls(evidence, activities)
    blamer = Blamer(evidence, activities, backends)
    return [_incident(burst, activities, blamer) for burst in bursts(victims)]


def _incident(burst: Sequence[Span], activities: Activities, blamer: Blamer) -> Incident:
    lost = [
        (activities.of(span), span.start_ns, span.end_ns)
        for span in burst
        if span.end_ns is not None
    ]
    verdict = blamer.blame(lost)
    walker = Walker(blamer, _routes(activities))
    victims = [walker.victim(activity.root, activity) for activity, _, _ in lost]
    window = Window(min(v.start_ns for v in victims), max(v.gave_up_ns for v in victims))
    return Incident(
        id=_identity(victims),
        window=window,
        victims=victims,
        blames=_ranked(verdict, victims),
        finding=tell(verdict, victims, blamer),
        blame_in_s=sum((v.gave_up_ns - v.start_ns) / 1e9 for v in victims),
        blame_out_s=verdict.seconds,
    )


def _routes(activities: Activities) -> dict[str, str]:
    """Return the application's route by the gateway's name for it, where there is only one.

    From requests that both saw, for those that only the gateway saw.
    """
    routes: dict[str, set[str]] = defaultdict(set)
    for activity in activities:
        if activity.root.service == names.GATEWAY_SERVICE and activity.callees:
            routes[activity.root.name].add(activity.callees[0].route)
    return {name: next(iter(known)) for name, known in routes.items() if len(known) == 1}


def _identity(victims: Sequence[Victim]) -> str:
    """Return an id that stays the same while the incident grows: it is that of the first victim."""
    first = min(victims, key=lambda victim: (victim.gave_up_ns, victim.span_id))
    return hashlib.sha256(f"{first.trace_id}{first.span_id}".encode()).hexdigest()[:12]


def _ranked(verdict: Verdict, victims: Sequence[Victim]) -> list[Blame]:
    total_s = verdict.seconds or 1.0
    most = Counter(leaf_key(v.leaf) for v in victims)
    ranked = sorted(verdict.resting.values(), key=lambda resting: -resting.seconds)
    return [
        Blame(
            leaf=resting.located,
            seconds=resting.seconds,
            share=resting.seconds / total_s,
            victims=most[leaf_key(resting.leaf)],
            trace_ids=resting.traces[:_MOST_TRACES],
        )
        for resting in ranked
    ]
