"""The replay: how many requests would have timed out, had one thing been otherwise.

The record is played unchanged first. Only if everybody fares then as they did may anything be said
of a change. What is and is not played: docs/how-blame-works.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from why504 import names
from why504.diagnose.blame import Blamer
from why504.diagnose.peers import status_of
from why504.diagnose.whatif.changes import NOTHING, Change, changes_for
from why504.diagnose.whatif.places import places_of
from why504.diagnose.whatif.record import Record, record
from why504.diagnose.whatif.simulate import answered_ns
from why504.errors import NotReplayable
from why504.model import Counterfactual, Incident, Replay

FAITHFUL_SHARE: Final = 0.95
"""Of the requests so many must fare as they did ..."""
FAITHFUL_SHARE_OF_EACH: Final = 0.9
"""... and of the victims so many, and of those answered in time: real queues let some go first."""
MOST_STEPS: Final = 150_000
"""What is played in a second or two; a larger record is not played."""
_SAME_MOMENT_NS: Final = 1e6
"""A gateway's log tells milliseconds."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that counts: since when and how long somebody waited, and whether in vain."""

    job: int
    start_ns: int
    limit_s: float
    timed_out: bool


class Player:
    """Plays the record of one incident, each time with another change."""

    def __init__(self, incident: Incident, blamer: Blamer) -> None:
        """Write the record, and play it unchanged.

        Raises:
            NotReplayable: nothing can be said of changes, and why.
        """
        self.record = _written(incident, blamer)
        self._asked = _asked(incident, blamer, self.record)
        late = self._late([NOTHING])
        self.same = sum(a.timed_out == b for a, b in zip(self._asked, late, strict=True))
        """How many requests fare unchanged as they did."""
        self.requests = len(self._asked)
        if not _is_faithful([a.timed_out for a in self._asked], late):
            raise NotReplayable(
                f"played again unchanged, only {self.same} of {self.requests} requests "
                "fare as they did"
            )
        self.changes = [
            change
            for place in places_of(incident, blamer, self.record)
            for change in changes_for(place)
        ]
        """Those that are worth trying, by what the time was lost to."""

    def with_one(self, change: Change) -> Counterfactual:
        """Return how many of the victims would have timed out all the same, and who else."""
        return self.with_all([change])

    def with_all(self, changes: Sequence[Change]) -> Counterfactual:
        """Return the same for several changes at once."""
        late = self._late(changes)
        left = [now for asked, now in zip(self._asked, late, strict=True) if asked.timed_out]
        words = " and ".join(change.words for change in changes)
        return Counterfactual(words, len(left), sum(left), sum(late) - sum(left))

    def _late(self, changes: Sequence[Change]) -> list[bool]:
        """Return for each request that counts whether it would have been given up."""
        changed = self.record
        for change in changes:
            changed = change.made(changed)
        patience = math.prod(change.patience for change in changes)
        limits_ns = [asked.limit_s * patience * 1e9 for asked in self._asked]
        until_ns = max(a.start_ns + n for a, n in zip(self._asked, limits_ns, strict=True))
        answers_ns = answered_ns(changed.jobs, changed.capacity, until_ns)
        return [
            answers_ns[asked.job] - asked.start_ns > limit_ns - _SAME_MOMENT_NS
            for asked, limit_ns in zip(self._asked, limits_ns, strict=True)
        ]


def _is_faithful(was: Sequence[bool], now: Sequence[bool]) -> bool:
    same = [a == b for a, b in zip(was, now, strict=True)]
    each = [
        [s for s, late in zip(same, was, strict=True) if late == fate] for fate in (True, False)
    ]
    return sum(same) >= len(same) * FAITHFUL_SHARE and all(
        sum(kind) >= len(kind) * FAITHFUL_SHARE_OF_EACH for kind in each
    )


def replay(incident: Incident, blamer: Blamer) -> Replay:
    """Return what would have helped, most helpful first, or why that can't be said."""
    try:
        player = Player(incident, blamer)
    except NotReplayable as error:
        return Replay(0, 0, why_not=str(error))
    tried = sorted((player.with_one(change) for change in player.changes), key=lambda c: c.left)
    return Replay(player.same, player.requests, tried)


def replayed(incident: Incident, blamer: Blamer) -> Incident:
    """Return an incident with its replay, which is evidence for its cause if it prevents most."""
    played = replay(incident, blamer)
    best = next((tried for tried in played.tried if tried.left * 2 < tried.victims), None)
    if best is None or not incident.finding.leaves:
        return replace(incident, replay=played)
    line = f"if {best.change}: {best.left} of {best.victims} would have timed out (played again)"
    finding = incident.finding
    finding = replace(finding, evidence_for=[*finding.evidence_for, line])
    return replace(incident, finding=finding, replay=played)


def _written(incident: Incident, blamer: Blamer) -> Record:
    if blamer.evidence.sample is not None:
        raise NotReplayable("only a part of what happened was read")
    written = record(blamer, incident.window.start_ns, incident.window.end_ns)
    if written is None:
        raise NotReplayable("no request is known to have been answered before")
    if sum(len(job.steps) for job in written.jobs) > MOST_STEPS:
        raise NotReplayable("too much happened to play it again")
    return written


def _asked(incident: Incident, blamer: Blamer, written: Record) -> Sequence[_Asked]:
    """Return the victims, and the requests that were answered well and in time."""
    victims = {(v.trace_id, v.span_id): v for v in incident.victims}
    usual_s = median([(v.gave_up_ns - v.start_ns) / 1e9 for v in incident.victims])
    asked = []
    for span in blamer.evidence.spans:
        job = written.requests.get((span.trace_id, span.span_id))
        victim = victims.get((span.trace_id, span.span_id))
        if job is None or span.kind != "server":
            continue
        if victim is not None:
            limit_s = (victim.gave_up_ns - victim.start_ns) / 1e9
            asked.append(_Asked(job, span.start_ns, limit_s, timed_out=True))
        elif span.end_ns is not None and (status_of(span.attributes) or 200) < 400:
            told = span.attributes.get(names.GATEWAY_TIMEOUT_S)
            limit_s = float(told) if isinstance(told, int | float) else usual_s
            asked.append(_Asked(job, span.start_ns, limit_s, timed_out=False))
    return asked
