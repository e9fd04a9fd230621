"""The engine: evidence in, incidents with a named cause out. Pure.

clocks -> victims -> activities -> overlays (locks, stalls) -> blame -> judge -> story -> split
-> replay, where somebody asks for it
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from why504.diagnose.activities import Activities
from why504.diagnose.activity import Process
from why504.diagnose.blame import Blamer, Verdict, leaf_key
from why504.diagnose.causes import UNKNOWN
from why504.diagnose.caveats import caveats
from why504.diagnose.clocks import Skew, in_step
from why504.diagnose.counted import compared
from why504.diagnose.gateways import one_span_each
from why504.diagnose.graph import wait_graph
from why504.diagnose.overlay import Backends, lay_locks, lay_stalls
from why504.diagnose.peers import with_nested_calls
from why504.diagnose.people import how_many_people, people_by_trace
from why504.diagnose.split import connected
from why504.diagnose.steps import Piece
from why504.diagnose.story import tell
from why504.diagnose.victims import GaveUp, bursts, find_victims
from why504.diagnose.walk import Walker
from why504.diagnose.whatif.replay import replayed
from why504.model import Blame, Evidence, Incident, Victim, Window, how_many

_MOST_TRACES = 5
_BEYOND_DOUBT = 0.8
"""A cause with this share of all blame leaves nothing to tell apart."""
_OWN_SHARE = 0.1
"""A part of a burst is an incident of its own from this share of the victims on ..."""
_FEWEST_VICTIMS = 3
"""... and this number of them."""


def explain(
    evidence: Evidence,
    *,
    slower_than_s: float | None = None,
    jobs_slower_than_s: float | None = None,
    what_if: bool = False,
) -> list[Incident]:
    """Return the incidents of some evidence, oldest first; none when nobody timed out.

    In every incident the seconds of blame equal the seconds that its victims lost, to 1e-6.

    Args:
        evidence: of a window.
        slower_than_s: requests that took longer, or are open for longer, are victims too, and so
            are messages that are worked on for longer.
        jobs_slower_than_s: of messages, where they may take longer than requests.
        what_if: also play each incident again with one thing changed; takes seconds.
    """
    evidence, skews = _cleaned(evidence)
    victims = find_victims(evidence, slower_than_s, jobs_slower_than_s)
    if not victims:
        return []
    court = _Court(_blamer(evidence), skews)
    incidents = [
        incident
        for burst in bursts(victims)
        for incident in compared(court.incidents(burst), burst, evidence)
    ]
    if what_if:
        incidents = [replayed(each, court.blamer) for each in incidents]
    return sorted(incidents, key=lambda incident: incident.window.start_ns)


def blamer_of(evidence: Evidence) -> Blamer:
    """Return what passes on blame over some evidence as it was read, its clocks put in step."""
    return _blamer(_cleaned(evidence)[0])


def _cleaned(evidence: Evidence) -> tuple[Evidence, Mapping[Process, Skew]]:
    evidence, skews = in_step(replace(evidence, spans=one_span_each(evidence)))
    # A span that was stored twice is one span: a row more would be a victim more.
    return replace(evidence, spans=with_nested_calls(evidence)), skews


def _blamer(evidence: Evidence) -> Blamer:
    activities = Activities(evidence)
    backends = Backends(evidence)
    lay_locks(evidence, activities, backends)
    lay_stalls(evidence, activities)
    return Blamer(evidence, activities, backends)


class _Court:
    """Makes incidents of bursts."""

    def __init__(self, blamer: Blamer, skews: Mapping[Process, Skew]) -> None:
        self.blamer = blamer
        self._skews = skews
        self._walker = Walker(blamer)
        self._people = people_by_trace(blamer.evidence.spans)

    def incidents(self, burst: Sequence[GaveUp]) -> list[Incident]:
        """Return the incident of a burst; several if parts of it have causes of their own."""
        whole = self._incident(burst)
        if whole.finding.confidence >= _BEYOND_DOUBT:
            return [whole]
        fewest = max(_FEWEST_VICTIMS, len(burst) * _OWN_SHARE)
        groups = [group for group in connected(whole.victims) if len(group) >= fewest]
        by_cause: dict[str, list[int]] = defaultdict(list)
        for group in groups if len(groups) > 1 else ():
            part = self._incident([burst[number] for number in group])
            by_cause[part.finding.cause].extend(group)
        by_cause.pop(UNKNOWN, None)
        if len(by_cause) < 2:
            return [whole]
        # Who is left belongs to the largest: one answer too few is better than one too many.
        parts = sorted(by_cause.values(), key=len)
        told = {number for part in parts for number in part}
        parts[-1].extend(number for number in range(len(burst)) if number not in told)
        return [self._incident([burst[number] for number in sorted(part)]) for part in parts]

    def _incident(self, burst: Sequence[GaveUp]) -> Incident:
        lost = [(self.blamer.activities.of(one.span), self._lost(one)) for one in burst]
        victims = [
            self._walker.victim(one, activity)
            for one, (activity, _) in zip(burst, lost, strict=True)
        ]
        verdict = self.blamer.blame(lost, [victim.route for victim in victims])
        window = Window(min(v.start_ns for v in victims), max(v.gave_up_ns for v in victims))
        return Incident(
            id=_identity(victims),
            window=window,
            victims=victims,
            blames=_ranked(verdict, victims),
            finding=tell(verdict, victims, self.blamer),
            blame_in_s=math.fsum(piece.seconds for _, piece in lost),
            blame_out_s=verdict.seconds,
            caveats=caveats(verdict, victims, self.blamer, self._skews),
            people=how_many_people(victims, self._people),
            graph=wait_graph(verdict, victims, self.blamer),
        )

    def _lost(self, one: GaveUp) -> Piece:
        length_s = (one.end_ns - one.span.start_ns) / 1e9
        seconds = length_s * self.blamer.stands_for(one.span)
        return Piece(one.span.start_ns, one.end_ns, seconds)


def _identity(victims: Sequence[Victim]) -> str:
    """Return an id that stays the same while the incident grows: it is that of the first victim."""
    first = min(victims, key=lambda victim: (victim.gave_up_ns, victim.span_id))
    return hashlib.sha256(f"{first.trace_id}{first.span_id}".encode()).hexdigest()[:12]


def _ranked(verdict: Verdict, victims: Sequence[Victim]) -> list[Blame]:
    total_s = verdict.seconds or 1.0
    most: dict[tuple[str, str, str], list[Victim]] = defaultdict(list)
    for victim in victims:
        most[leaf_key(victim.leaf)].append(victim)
    ranked = sorted(verdict.resting.values(), key=lambda resting: -resting.seconds)
    return [
        Blame(
            leaf=resting.located,
            seconds=resting.seconds,
            share=resting.seconds / total_s,
            victims=how_many(most[leaf_key(resting.leaf)]),
            trace_ids=resting.traces[:_MOST_TRACES],
        )
        for resting in ranked
    ]
