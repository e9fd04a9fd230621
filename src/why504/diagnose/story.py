"""The story of an incident: which cause, in one sentence, by which chain, with what evidence.

Words only; all figures come from the verdict (blame.py) and the evidence.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from why504 import names
from why504.diagnose.advice import plight_of, session_advice
from why504.diagnose.behind import LOCK_ADVICE, lock_behind
from why504.diagnose.blame import Blamer, Verdict, leaf_key
from why504.diagnose.brokers import all_was_well, calls_rabbitmq, told_of
from why504.diagnose.causes import HEALTH_CHECK, UNKNOWN, Cause, judge
from why504.diagnose.chain import chain_to, crowd_link, in_words
from why504.diagnose.facts import Facts, last_resource, queue_of
from why504.diagnose.leaves import Resting
from why504.model import LEAST_SHARE, ChainLink, Finding, Hold, Site, Victim, how_many

_MECHANISMS = (
    ("db.pool:", "pool"),
    ("http.pool:", "pool"),
    ("redis.pool:", "pool"),
    ("loop:", "loop"),
    ("db.lock:", "lock"),
    ("lock:", "lock"),
    ("threadpool", "limiter"),
    ("limiter:", "limiter"),
)
"""Prefix of a resource -> how trouble with it reaches the victims."""
_NAMED_SHARE = 0.3
"""A cause with less of the blame is not named: UNKNOWN is better than wrong."""
_NEARLY_ALL = 0.8
"""A cause with less of the blame is told together with its share."""


_SPENT_CALLING = "outgoing calls that lasted for half of the victims' wait or more"
_SPENT_PAUSING = "pauses between attempts that failed"
_NOT_TAKEN_UP = "the event loop stands still to the end: whoever came since is not even seen"


@dataclass(slots=True)
class Suspect:
    """A row of the taxonomy and all leaves that it explains."""

    cause: Cause | None
    leaves: list[Resting] = field(default_factory=list)
    calls: float = 0.0
    """Calls a request, of the leaf that has most of them."""

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
    facts = Facts(victims, blamer, list(verdict.resting.values()))
    suspects = _suspects(verdict, facts)
    named = [s for s in suspects if s.cause is not None]
    best = max(named, key=lambda s: s.seconds, default=None)
    unnamed_s = math.fsum(s.seconds for s in suspects if s.cause is None)
    if best is None or best.seconds < max(unnamed_s, verdict.seconds * _NAMED_SHARE):
        still = next((s for s in named if facts.stands_still(s.leaves)), None)
        if still is None:
            return _unknown(named, verdict, facts)
        best = still
    return _named(best, suspects, verdict, facts)


def _suspects(verdict: Verdict, facts: Facts) -> list[Suspect]:
    by_cause: dict[str, Suspect] = {}
    for resting in verdict.resting.values():
        case = facts.case(resting)
        cause = judge(case)
        suspect = by_cause.setdefault(cause.id if cause else "", Suspect(cause))
        suspect.leaves.append(resting)
        suspect.calls = max(suspect.calls, case.calls_per_request)
    return list(by_cause.values())


def mechanism_of(resource: str) -> str:
    """Return how a resource's trouble reaches the victims: pool, loop, lock, limiter or none."""
    return next((word for prefix, word in _MECHANISMS if resource.startswith(prefix)), "none")


def _named(best: Suspect, suspects: Sequence[Suspect], verdict: Verdict, facts: Facts) -> Finding:
    victims, blamer = facts.victims, facts.blamer
    trigger = best.cause
    assert trigger is not None  # noqa: S101 - chosen among the named ones by the caller
    queue = queue_of(trigger.queue, best.leaves)
    resource = last_resource(best.leaves) or queue
    # A check that waits for what others hold is a victim of them like any other request.
    cause = HEALTH_CHECK if not resource and only_health_checks(victims) else trigger
    site = _site(best, resource, blamer)
    words = words_of(best, resource, site, facts)
    chain = chain_to(best.top, verdict, victims, blamer, queue)
    if trigger.of_a_crowd:
        chain[-1] = crowd_link(resource, best.seconds, victims, blamer)
    behind = lock_behind(best.top, blamer)
    share = best.seconds / verdict.seconds
    part = "" if share >= _NEARLY_ALL else f" ({share:.0%} of the lost time)"
    says = trigger.says.format(**words)
    return Finding(
        cause=cause.id,
        title=cause.title,
        mechanism=cause.mechanism or mechanism_of(resource),
        site=site,
        sentence=f"{chain[0].what}: {cause.says.format(**{**words, 'trigger': says})}{part}"
        f"{_standing_at(behind)}.",
        chain=[*chain, *behind],
        evidence_for=[
            f"{share:.0%} of the {verdict.seconds:.0f} s that victims lost rests here",
            *_agreement(best, victims),
            trigger.proof.format(**words),
            *([_NOT_TAKEN_UP] if facts.stands_still(best.leaves) else []),
            *(told_of(victims, blamer) if calls_rabbitmq(best.top) else ()),
        ],
        evidence_against=_against(best, suspects, facts, verdict.seconds),
        advice=_advice(cause, trigger, words) + [LOCK_ADVICE] * len(behind),
        confidence=share,
        leaves=[leaf.located for leaf in sorted(best.leaves, key=lambda leaf: -leaf.seconds)],
    )


def _advice(cause: Cause, trigger: Cause, words: Mapping[str, str]) -> list[str]:
    lines = cause.advice if cause is trigger else (*cause.advice, *trigger.advice)
    return [line.format(**words) for line in lines]


def _standing_at(behind: Sequence[ChainLink]) -> str:
    """Return what a blocked loop waits for, and who has it, for the end of the sentence."""
    return "".join(f"; there it is {link.what}: {link.evidence[0]}" for link in behind)


def words_of(best: Suspect, resource: str, site: Site | None, facts: Facts) -> dict[str, str]:
    """Return what is filled into the sentences of a row."""
    cpu_share = facts.cpu_share(best.leaves)
    starved, collecting = facts.starvation(best.leaves)
    return {
        "site": str(site or "an unknown line"),
        "what": best.top.leaf.what,
        "resource": in_words(resource) if resource else "something",
        "longest": _longest(best.top, facts.lengths_s(best.leaves)),
        "spent": _SPENT_PAUSING if best.top.leaf.kind == "backoff" else _SPENT_CALLING,
        "session": session_advice(best.top.leaf.what),
        "computed": _computed(cpu_share),
        "rested": _rested(cpu_share),
        "starved": f"{starved:.0%}",
        "gc": f"{collecting:.0%}",
        "calls": f"{best.calls:.0f}",
        "answered": f"{facts.answered_share:.0%}",
        "pid": _backend_pid(best.top),
    }


def _longest(top: Resting, lengths_s: Sequence[float]) -> str:
    """Return how long it took at most; of pauses, which no span tells, in one request."""
    if top.leaf.kind == "backoff":
        return f"{max(top.by_trace.values(), default=0.0):.1f} s of a request"
    return f"{max(lengths_s, default=0.0):.1f} s"


def _computed(cpu_share: float | None) -> str:
    if cpu_share is None:
        # C code that waits with the GIL looks the same, and is mended by the same advice.
        return "meanwhile it kept the GIL: no other thread of Python could run"
    return f"meanwhile {cpu_share:.0%} of a core was used: it computed"


def _rested(cpu_share: float | None) -> str:
    if cpu_share is None:
        return "meanwhile the event loop ran nothing else; nobody told how much CPU that used"
    used = f"meanwhile the process used {cpu_share:.0%} of a core"
    return f"{used}: too little to have computed all the time"


def _backend_pid(top: Resting) -> str:
    """Return the database backend that a leaf was seen in, ready to be copied into a command."""
    told = (source for source in top.sources.values() if isinstance(source, Hold))
    pids = [source.attributes.get(names.BACKEND_PID) for source in told]
    return next((str(pid) for pid in pids if isinstance(pid, int)), "<pid>")


def _agreement(best: Suspect, victims: Sequence[Victim]) -> list[str]:
    """Return how many victims say the same each for itself."""
    keys = {leaf_key(leaf.leaf) for leaf in best.leaves}
    same = how_many(victim for victim in victims if leaf_key(victim.leaf) in keys)
    total = how_many(victims)
    return [f"{same} of {total} requests lost most of their time to it"] if same else []


_HEALTH_PATH = re.compile(
    r"/_*(health\w*|ready\w*|readiness|live|livez|liveness|ping|heartbeat|status)(/|$)",
    re.IGNORECASE,
)


def only_health_checks(victims: Sequence[Victim]) -> bool:
    """Return whether nearly all victims are probes of the service's health."""
    checks = how_many(victim for victim in victims if _HEALTH_PATH.search(victim.route))
    return checks >= how_many(victims) * _NEARLY_ALL


def _site(best: Suspect, resource: str, blamer: Blamer) -> Site | None:
    """Return the line to look at: of the leaf, else where its resource was wanted or taken.

    Of a crowd no leaf matters by itself: the line is where they all took what they share.
    """
    of_a_crowd = best.cause is not None and best.cause.of_a_crowd
    if best.top.site is not None and not of_a_crowd:
        return best.top.site
    counts = Counter(blamer.backends.waiting_lines.get(resource))
    for hold in blamer.holds_of(resource):
        if hold.site is not None:
            counts[hold.site] += 1
    return max(counts, key=lambda site: counts[site], default=None)


def _wanted_at(resource: str, blamer: Blamer) -> Site | None:
    """Return the line at which most waited for a resource."""
    counts = Counter(wait.site for wait in blamer.waits_of(resource) if wait.site is not None)
    return max(counts, key=lambda site: counts[site], default=None)


def _against(best: Suspect, suspects: Sequence[Suspect], facts: Facts, total_s: float) -> list[str]:
    victims = facts.victims
    lines = [
        f"{other.seconds / total_s:.0%} of the lost time rests on {other.top.leaf.what}"
        + (f" ({other.cause.id})" if other.cause else "")
        for other in sorted(suspects, key=lambda s: -s.seconds)
        if other is not best and other.seconds >= total_s * 0.02
    ]
    unexplained = how_many(victim for victim in victims if not victim.explained)
    if unexplained:
        lines.append(f"{unexplained} of {how_many(victims)} requests can't be explained")
    if calls_rabbitmq(best.top):
        lines += all_was_well(victims, facts.blamer)
    return lines or ["nothing speaks against it: hardly any lost time rests elsewhere"]


def _unknown(named: Sequence[Suspect], verdict: Verdict, facts: Facts) -> Finding:
    top = max(verdict.resting.values(), key=lambda resting: resting.seconds)
    chain = chain_to(top, verdict, facts.victims, facts.blamer)
    ranked = sorted(verdict.resting.values(), key=lambda resting: -resting.seconds)
    resource = last_resource([top])
    mechanism = mechanism_of(resource)
    plight = plight_of(top, resource, mechanism, to_itself=facts.case(top).to_itself)
    # Of what nobody is known to have, the line at which it is wanted is all that can be shown.
    wanted = None if top.site or not resource else _wanted_at(resource, facts.blamer)
    return Finding(
        cause=UNKNOWN,
        title=plight.title,
        mechanism=mechanism if resource or top.leaf.kind != "unknown" else "unknown",
        site=top.site or wanted,
        sentence=f"{chain[0].what}: {plight.says}; "
        f"{top.seconds / verdict.seconds:.0%} of the lost time: {top.leaf.what}"
        f"{f' (wanted at {wanted})' if wanted else ''}.",
        chain=chain,
        evidence_for=[
            f"{resting.seconds / verdict.seconds:.0%} of the lost time: {resting.leaf.what}"
            for resting in ranked[:3]
            if resting.seconds >= verdict.seconds * LEAST_SHARE
        ],
        evidence_against=[
            f"{s.seconds / verdict.seconds:.0%} of the lost time speaks for {s.cause.title} "
            f"({s.cause.id}): too little to name it"
            for s in sorted(named, key=lambda s: -s.seconds)
            if s.cause is not None and s.seconds >= verdict.seconds * LEAST_SHARE
        ]
        or [plight.against],
        advice=plight.advice,
        confidence=0.0,
    )
