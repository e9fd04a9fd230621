"""Standstills: processes whose event loop did not turn, whether or not a request is seen to suffer.

A loop that stands still takes up nothing, so those who suffer are often not seen at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from why504 import names
from why504.diagnose.advice import attach_advice
from why504.diagnose.behind import LOCK_ADVICE, lock_behind
from why504.diagnose.blame import Blamer, resource_key
from why504.diagnose.causes import UNKNOWN, judge
from why504.diagnose.chain import clock
from why504.diagnose.endings import due_of
from why504.diagnose.facts import Facts, last_resource
from why504.diagnose.leaves import Resting, stall_leaf
from why504.diagnose.story import Suspect, words_of
from why504.model import (
    Blame,
    ChainLink,
    Evidence,
    Finding,
    Incident,
    Leaf,
    Stall,
    Victim,
    Window,
)

_GRAVE_S: Final = 1.0
"""What goes on is told from this age on: shorter stalls are everyday."""
_LONG_S: Final = 5.0
"""What is over and made nobody wait is told from this length on, unless another one is asked."""
_MOST: Final = 5
_NOT_SEEN: Final = "no request is known to have waited: who is not taken up is not seen"


@dataclass(frozen=True, slots=True)
class Standstill:
    """One event loop that did not turn for a while."""

    stall: Stall
    until_ns: int | None
    """When it was over, or must have been; None while it goes on, by all that is known."""

    @property
    def length_s(self) -> float:
        """For how long it is known to have stood."""
        return ((self.until_ns or self.stall.last_seen_ns) - self.stall.start_ns) / 1e9

    @property
    def sentence(self) -> str:
        """Who stood still, from when until when, at which line, for people."""
        stall = self.stall
        process = f"process {self._pid} of {stall.service}"
        leaf, _ = stall_leaf(stall)
        kept = stall.attributes.get(names.STALL_GIL_KEPT) is True
        who = process if kept else f"the event loop of {process}"
        does = "kept the GIL" if kept else "blocks it" if self.until_ns is None else "blocked it"
        at = f" at {leaf.site}" if leaf.site else ""
        return f"{who} stood still {self._when()}: {leaf.what} {does}{at}"

    @property
    def advice(self) -> list[str]:
        """What helps now, whatever the cause; empty once it is over."""
        return [] if self.until_ns is not None else [attach_advice(self._pid)]

    @property
    def _pid(self) -> str:
        return self.stall.resource.removeprefix("loop:")

    def _when(self) -> str:
        since = f"from {clock(self.stall.start_ns)}"
        if self.until_ns is None:
            return f"{since} UTC on, seen for {self.length_s:.1f} s"
        return f"{since} until {clock(self.until_ns)} UTC"


def standstills(evidence: Evidence, slower_than_s: float | None = None) -> list[Standstill]:
    """Return those that matter, oldest first, at most five: the longest.

    Args:
        evidence: of a window.
        slower_than_s: what is over is told from this length on.
    """
    found = [Standstill(stall, _until_ns(stall, evidence)) for stall in evidence.stalls]
    grave: dict[tuple[str, str, str], Standstill] = {}
    for one in sorted(found, key=lambda each: each.length_s):
        over_s = _LONG_S if slower_than_s is None else slower_than_s
        least_s = _GRAVE_S if one.until_ns is None else over_s
        # Many short ones told as one are a slow loop, which turns.
        if one.length_s >= least_s and names.STALL_SHARE not in one.stall.attributes:
            stall = one.stall
            # A line that stops the same process again and again is told once, at its worst.
            grave[stall.instance, stall.resource, str(stall.site)] = one
    return sorted(list(grave.values())[-_MOST:], key=lambda each: each.stall.start_ns)


def unsuffered(found: Sequence[Standstill], incidents: Sequence[Incident]) -> list[Standstill]:
    """Return those that no incident puts the blame on."""
    blamed = {
        blame.leaf.site
        for incident in incidents
        for blame in incident.blames
        if blame.leaf.kind == "stall"
    }
    return [one for one in found if one.stall.site not in blamed]


def as_incident(one: Standstill, blamer: Blamer) -> Incident:
    """Return a standstill as an incident without victims, so that machines read it as one."""
    stall = one.stall
    until_ns = one.until_ns or stall.last_seen_ns
    leaf, peer = stall_leaf(stall)
    resting = Resting(leaf, peer, 0.0, sources={stall.span_id: stall})
    resting.by_resource[resource_key(stall)] = one.length_s
    return Incident(
        id=hashlib.sha256(f"{stall.trace_id}{stall.span_id}".encode()).hexdigest()[:12],
        window=Window(stall.start_ns, until_ns),
        victims=(),
        blames=[Blame(leaf, 0.0, 0.0, 0, [stall.trace_id])],
        finding=_finding(one, resting, Facts([_whoever_came(one, leaf)], blamer)),
        blame_in_s=0.0,
        blame_out_s=0.0,
        caveats=[_NOT_SEEN],
    )


def _finding(one: Standstill, resting: Resting, facts: Facts) -> Finding:
    cause = judge(facts.case(resting))
    behind = lock_behind(resting, facts.blamer)
    words = words_of(Suspect(cause, [resting]), last_resource([resting]), resting.site, facts)
    return Finding(
        cause=cause.id if cause else UNKNOWN,
        title=cause.title if cause else "An event loop stood still",
        mechanism="loop",
        site=resting.site,
        sentence=f"{one.sentence}.",
        chain=[ChainLink(one.sentence, 0.0), *behind],
        evidence_for=[cause.proof.format(**words)] if cause else [],
        evidence_against=[],
        advice=[
            *(line.format(**words) for line in (cause.advice if cause else ())),
            *([LOCK_ADVICE] if behind else ()),
            *one.advice,
        ],
        confidence=0.0,
        leaves=[resting.located],
    )


def _whoever_came(one: Standstill, leaf: Leaf) -> Victim:
    """Return a request that would have waited all the time, for facts are of an incident."""
    stall = one.stall
    return Victim(
        stall.trace_id, stall.span_id, "", stall.start_ns, one.until_ns or stall.last_seen_ns,
        status=0, reached_app=False, blocked_in="", blocking_span_id=None, held_by="",
        holder_trace_id=None, leaf=leaf, explained_s=one.length_s, unknown_s=0.0,
    )  # fmt: skip


def _until_ns(stall: Stall, evidence: Evidence) -> int | None:
    """Return when it was over; of whom its process was due to tell and did not, too."""
    if stall.end_ns is not None:
        return stall.end_ns
    due_ns = due_of(stall)
    return due_ns if evidence.heard_ns.get(stall.instance, 0) > due_ns else None
