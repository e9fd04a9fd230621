"""The chain: from the victims, through what they waited for, to the cause, with evidence."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final, TypeVar

from why504 import names
from why504.diagnose.blame import Blamer, Verdict, leaf_key, plain
from why504.diagnose.brokers import calls_rabbitmq, told_of
from why504.diagnose.endings import due_of
from why504.diagnose.leaves import POOLS, Resting
from why504.diagnose.outsiders import who_has
from why504.diagnose.peers import CLIENT
from why504.diagnose.steps import covered_s
from why504.diagnose.ways import VICTIMS
from why504.model import ChainLink, Hold, Record, Stall, Victim, Wait, how_many

R = TypeVar("R", bound=Record)

_MOST_LINKS = 8


def chain_to(
    top: Resting,
    verdict: Verdict,
    victims: Sequence[Victim],
    blamer: Blamer,
    queue: str = "",
) -> list[ChainLink]:
    """Return the links from the victims to a leaf, along the way that carried most blame.

    Where hardly any was carried, along `queue`, the key of a resource, if it is not empty.
    """
    links = [victims_link(victims)]
    for resource in _resources_on_the_way(top, verdict) or [queue] * bool(queue):
        # In a ring the same seconds come by more than once.
        through_s = sum(s for (_, to), s in verdict.flow.items() if to == resource)
        seconds = min(through_s, verdict.seconds)
        links.append(_resource_link(resource, seconds, victims, blamer))
    links.append(_leaf_link(top, victims, blamer))
    return links


def _resources_on_the_way(top: Resting, verdict: Verdict) -> list[str]:
    """Return resource keys from the victims' side; walked backwards, so as to end at the leaf."""
    way: list[str] = []
    node = "|".join(leaf_key(top.leaf))
    for _ in range(_MOST_LINKS):
        sources = {
            source: seconds
            for (source, to), seconds in verdict.flow.items()
            if to == node and source not in way
        }
        carried = {s: x for s, x in sources.items() if s != VICTIMS}
        total_s = sum(sources.values())
        best = max(carried, key=lambda s: carried[s], default=None)
        # The victims who did the blamed thing themselves are not the interesting part of the way.
        if best is None or (carried[best] < 0.2 * total_s):
            break
        way.append(best)
        node = best
    return way[::-1]


def victims_link(victims: Sequence[Victim]) -> ChainLink:
    """Return the first link: how many victims there are, and when they were given up."""
    routes = _counted((victim.route, victim.stands_for) for victim in victims)
    more = f" and {len(routes) - 1} more route{'s'[: len(routes) > 2]}" if len(routes) > 1 else ""
    statuses = _counted(
        (str(victim.status) if victim.how == "timeout" else victim.how, victim.stands_for)
        for victim in victims
    )
    counts = ", ".join(f"{count} x {status}" for status, count in statuses)
    unseen = how_many(victim for victim in victims if not victim.reached_app)
    first, last = min(v.gave_up_ns for v in victims), max(v.gave_up_ns for v in victims)
    who = "the gateway gave up" if victims[0].how == "timeout" else "they ended, or were last seen,"
    evidence = [f"{who} between {clock(first)} and {clock(last)} UTC"]
    if unseen:
        evidence.append(f"{unseen} of them the application never saw")
    lost_s = sum((v.gave_up_ns - v.start_ns) / 1e9 * v.stands_for for v in victims)
    return ChainLink(f"{counts} on {routes[0][0]}{more}", lost_s, evidence)


def crowd_link(
    resource: str, seconds: float, victims: Sequence[Victim], blamer: Blamer
) -> ChainLink:
    """Return the last link where nobody in particular is slow: the crowd itself."""
    holds = held_by(resource, victims, blamer)
    lengths_s = sorted(((blamer.end_of(h) - h.start_ns) / 1e9, blamer.stands_for(h)) for h in holds)
    number = math.fsum(many for _, many in lengths_s)
    so_far = accumulate(many for _, many in lengths_s)
    half_s = next(s for (s, _), many in zip(lengths_s, so_far, strict=True) if many * 2 >= number)
    return ChainLink(
        f"{number:.0f} holds fill {in_words(resource)} one after another",
        seconds,
        [f"half of them shorter than {half_s:.2f} s, the longest {lengths_s[-1][0]:.2f} s"],
    )


def _counted(told: Iterable[tuple[str, float]]) -> list[tuple[str, int]]:
    """Return how many there are of each, most first, from what each stands for."""
    counts: dict[str, float] = defaultdict(float)
    for what, many in told:
        counts[what] += many
    return [(what, round(counts[what])) for what in sorted(counts, key=lambda w: -counts[w])]


def held_by(resource: str, victims: Sequence[Victim], blamer: Blamer) -> list[Hold]:
    """Return the holds of a resource that overlap the incident."""
    return overlapping(blamer.holds_of(resource), victims, blamer)


def overlapping(records: Sequence[R], victims: Sequence[Victim], blamer: Blamer) -> list[R]:
    """Return the records that overlap the incident."""
    start_ns = min(v.start_ns for v in victims)
    end_ns = max(v.gave_up_ns for v in victims)
    return [r for r in records if r.start_ns < end_ns and blamer.end_of(r) > start_ns]


def _resource_link(
    resource: str, seconds: float, victims: Sequence[Victim], blamer: Blamer
) -> ChainLink:
    if resource.startswith("loop:"):
        told = blamer.stalls_of(resource)
        # One that went on untold may have begun before all victims.
        last = sorted(told, key=lambda stall: stall.start_ns)[-1:]
        stalls = overlapping(told, victims, blamer) or last
        return _loop_link(resource, seconds, stalls, blamer)
    waits = overlapping(blamer.waits_of(resource), victims, blamer)
    holds = held_by(resource, victims, blamer)
    return ChainLink(
        f"waiting for {described(plain(resource), waits)}",
        seconds,
        [line for line in (_held(holds, blamer), waited(waits, blamer)) if line],
    )


def in_words(resource: str) -> str:
    """Return a resource for people: `pool main`, `the lock on friendship_status`."""
    kind, _, name = plain(resource).partition(":")
    own = name.partition("#")[0]
    words = {
        "db.pool": f"pool {name}",
        "http.pool": f"the HTTP client of {own}",
        "redis.pool": f"the Redis client of {own}",
        "db.lock": f"the lock on {name.rpartition('#')[0]}",
        # Of several that are called the same, the number tells them apart.
        "lock": f"the lock {name}",
        "limiter": f"the limiter {name}",
        **({"threadpool": f"the executor {own}"} if own else {}),
    }
    return words.get(kind, plain(resource))


_UNITS: Final = (
    (POOLS, "a connection"),
    ("limiter:", "a place"),
    (names.threads(""), "a thread"),
)
"""Prefix of a resource -> what one of several of it is called."""


def described(name: str, waits: Sequence[Wait]) -> str:
    """Return a resource for people, with how much is in use of what several may have."""
    if name.startswith("db.lock:"):
        relation, _, pid = name.removeprefix("db.lock:").rpartition("#")
        return f"a lock on {relation} that database backend {pid} keeps"
    if name.startswith("lock:"):
        return in_words(name)
    unit = next((unit for prefix, unit in _UNITS if name.startswith(prefix)), "")
    if not unit:
        return name
    capacity = _most(waits, names.POOL_CAPACITY)
    text = f"{unit} of {in_words(name)}"
    if capacity:
        in_use = _most(waits, names.POOL_IN_USE)
        text += f" ({in_use} of {capacity} in use, {_most(waits, names.POOL_WAITING)} waiting)"
    return text


def _held(holds: Sequence[Hold], blamer: Blamer) -> str:
    if not holds:
        return "nobody is known to have held it"
    owners = _counted(
        (owner.route if (owner := blamer.holder(h)) else who_has(h), blamer.stands_for(h))
        for h in holds
    )
    who, count = owners[0]
    rest = sum(number for _, number in owners[1:])
    others = f" and {rest} more" if rest else ""
    oldest_s = max((blamer.end_of(h) - h.start_ns) / 1e9 for h in holds)
    sites = Counter(str(hold.site) for hold in holds if hold.site)
    taken = f", taken at {sites.most_common(1)[0][0]}" if sites else ""
    return f"held by {count} x {who}{others}, longest {oldest_s:.1f} s{taken}"


def waited(waits: Sequence[Wait], blamer: Blamer) -> str:
    """Return how many waited and how long; empty for none."""
    if not waits:
        return ""
    longest_s = max(((w.end_ns or w.last_seen_ns) - w.start_ns) / 1e9 for w in waits)
    number = round(math.fsum(blamer.stands_for(w) for w in waits))
    still = round(math.fsum(blamer.stands_for(w) for w in waits if w.end_ns is None))
    count = "1 wait" if number == 1 else f"{number} waits"
    return f"{count}, longest {longest_s:.1f} s" + (
        f", {still} still open when last told" if still else ""
    )


def _loop_link(resource: str, seconds: float, stalls: Sequence[Stall], blamer: Blamer) -> ChainLink:
    lengths_s = [(blamer.end_of(s) - s.start_ns) / 1e9 for s in stalls]
    number = "1 stall" if len(stalls) == 1 else f"{len(stalls)} stalls"
    # Many short ones told as one overlap the longer ones among them.
    all_s = covered_s([(stall.start_ns, blamer.end_of(stall)) for stall in stalls])
    evidence = [f"{number}, longest {max(lengths_s, default=0.0):.1f} s, {all_s:.1f} s in all"]
    shares = [
        share for s in stalls if isinstance(share := s.attributes.get(names.STALL_SHARE), float)
    ]
    if shares:
        evidence.append(
            f"many of at most a quarter of a second told as one: they took {max(shares):.0%} of it"
        )
    stuck = sum(s.attributes.get(names.STALL_PROGRESSING) is False for s in stalls)
    if stuck:
        whose = "" if stuck == len(stalls) else f" of {stuck} of them"
        evidence.append(f"every sample{whose} shows the same line")
    # What is not due to be told again yet is no silence.
    known_ns = blamer.evidence.window.end_ns
    if any(s.end_ns is None and blamer.end_of(s) < due_of(s) < known_ns for s in stalls):
        evidence.append("its process told nothing more")
    process = plain(resource).removeprefix("loop:")
    return ChainLink(f"waiting for the event loop of process {process}", seconds, evidence)


def _leaf_link(top: Resting, victims: Sequence[Victim], blamer: Blamer) -> ChainLink:
    leaf = top.located
    at = f" at {leaf.site}" if leaf.site else ""
    evidence = [f"seen in trace {trace_id}" for trace_id in top.traces[:3]]
    if calls_rabbitmq(top):
        evidence += told_of(victims, blamer)
    evidence += _said_of(top)
    word = "awaited" if top.peer == CLIENT else "called"
    words = {
        "run": f"{leaf.what}{at}",
        "stall": f"{leaf.what} blocks the event loop{at}",
        "ext": f"{leaf.what}{f' ({word} at {leaf.site})' if leaf.site else ''}",
        "leak": f"{leaf.what}{at}",
    }
    return ChainLink(words.get(leaf.kind, leaf.what), top.seconds, evidence)


def _said_of(top: Resting) -> list[str]:
    """Return what the blamed calls say of themselves: no limit, or why a broker takes nothing."""
    told = [source.attributes for source in top.sources.values()]
    lines = []
    if any(names.CLIENT_UNLIMITED in attributes for attributes in told):
        lines.append("its client waits without a limit: no timeout")
    key = names.BROKER_CONNECTION_BLOCKED
    reasons = sorted({str(attributes[key]) for attributes in told if key in attributes})
    return [*lines, *(f"the broker sent connection.blocked: {reason}" for reason in reasons)]


def _most(waits: Sequence[Wait], name: str) -> int:
    return max((v for w in waits if isinstance(v := w.attributes.get(name), int)), default=0)


def clock(time_ns: int) -> str:
    """Return a moment of a day, for people: `23:04:10`, in UTC."""
    return datetime.fromtimestamp(time_ns / 1e9, tz=UTC).strftime("%H:%M:%S")
