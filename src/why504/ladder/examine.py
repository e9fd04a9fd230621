"""Judges a ladder by the rules: every inversion, every limit that is missing, and what was unseen.

A limit is compared with the nearest one that guards it: once each rung is shorter than its
neighbour, all are in order, and nothing is reported twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from why504.ladder.kinds import BY_ID, DEPTH, Kind
from why504.ladder.rules import RULES, Inner, Rule
from why504.ladder.rung import Rung

UNSEEN: Final = {
    "gateway": "the gateway's timeouts: pass its configuration (--nginx /etc/nginx/nginx.conf)",
    "application": "the application's own deadline: declare it, "
    'why504.instrument(app, limits={"application": 55.0})',
    "statement": "how long a statement may take: declare it, or ask the server (--postgres URL)",
}
"""What a ladder should have, and how the doctor gets to see it."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Everything that was read."""

    rungs: Sequence[Rung]
    server_connections: int | None = None
    """Connections that the database server gives to ordinary accounts."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in words."""

    severity: str
    """`inversion`, `missing` (no limit at all) or `hint`; a hint fails nobody's CI."""
    sentence: str
    advice: str
    kinds: tuple[str, ...]
    """The kinds it is about, outermost first."""
    rungs: tuple[Rung, ...] = ()
    """The rungs to change first."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A ladder, judged."""

    rungs: Sequence[Rung]
    """Outermost first; the same limit told by several is one rung."""
    findings: Sequence[Finding]
    unseen: Sequence[str]

    @property
    def fine(self) -> bool:
        """Whether nothing is inverted and nothing is without limit."""
        return all(finding.severity == "hint" for finding in self.findings)


def examine(ladder: Ladder) -> Diagnosis:
    """Return the ladder in order, with what is wrong, gravest first, and what nobody told."""
    rungs = _in_order(ladder.rungs)
    findings = [
        *_inversions(rungs),
        *_connections(rungs, ladder.server_connections),
        *_missing(rungs),
        *_repeated(rungs),
    ]
    findings.sort(key=lambda finding: ("inversion", "missing", "hint").index(finding.severity))
    told = {rung.kind for rung in rungs}
    unseen = [sentence for kind, sentence in UNSEEN.items() if kind not in told]
    strange = sorted(told - BY_ID.keys())
    unseen += [f"limits of a kind that this version does not know: {kind}" for kind in strange]
    return Diagnosis(rungs, findings, unseen)


def _in_order(rungs: Sequence[Rung]) -> list[Rung]:
    merged: dict[tuple[object, ...], Rung] = {}
    for rung in rungs:
        key = (rung.kind, rung.name, rung.seconds, rung.attempts, rung.pause_s)
        known = merged.get(key)
        merged[key] = rung if known is None else _both(known, rung)
    # What the application declares for all is seen at each connection again.
    named = {(rung.kind, rung.seconds) for rung in merged.values() if rung.name}
    once = [r for r in merged.values() if r.name or (r.kind, r.seconds) not in named]
    return sorted(once, key=lambda rung: (DEPTH.get(rung.kind, len(DEPTH)), -rung.worst_s))


def _both(one: Rung, other: Rung) -> Rung:
    where = one.where if other.where in one.where.split(", ") else f"{one.where}, {other.where}"
    known = [rung.connections for rung in (one, other) if rung.connections is not None]
    return replace(one, where=where, connections=sum(known) if known else None)


def _of(kind: str, rungs: Sequence[Rung]) -> list[Rung]:
    return [rung for rung in rungs if rung.kind == kind]


def _inversions(rungs: Sequence[Rung]) -> Iterator[Finding]:
    inners = dict.fromkeys(inner for rule in RULES for inner in rule.inners)
    too_long: set[str] = set()
    for inner in sorted(inners, key=len):
        # A part that is too long by itself is told; that the sum is too long then says nothing.
        if len(inner) > 1 and too_long.intersection(inner):
            continue
        found = list(_of_inner(inner, rungs))
        if found:
            too_long.update(inner)
        yield from found


def _of_inner(inner: Inner, rungs: Sequence[Rung]) -> Iterator[Finding]:
    guard = _nearest(inner, rungs)
    if guard is None:
        return
    for outer in _of(guard.outer, rungs):
        if outer.seconds is None:
            continue
        for parts in _waits(inner, rungs):
            # Limits that are equal race: who ends first is luck.
            if sum(part.worst_s for part in parts) >= outer.seconds:
                yield _inversion(guard, outer, parts)


def _nearest(inner: Inner, rungs: Sequence[Rung]) -> Rule | None:
    """Return the rule whose outer limit ends first in a ladder that is in order."""
    finite = {rung.kind for rung in rungs if rung.seconds is not None}
    rules = [rule for rule in RULES if inner in rule.inners and rule.outer in finite]
    return max(rules, key=lambda rule: DEPTH[rule.outer], default=None)


def _waits(inner: Inner, rungs: Sequence[Rung]) -> Iterator[list[Rung]]:
    """Yield what is waited for in a row; of a sum the longest of each kind."""
    finite = [[rung for rung in _of(kind, rungs) if rung.seconds is not None] for kind in inner]
    if len(inner) == 1:
        yield from ([rung] for rung in finite[0])
        return
    parts = [max(alike, key=lambda rung: rung.worst_s) for alike in finite if alike]
    if len(parts) > 1:
        yield parts


def _inversion(rule: Rule, outer: Rung, parts: Sequence[Rung]) -> Finding:
    outer_kind, kinds = BY_ID[outer.kind], [BY_ID[part.kind] for part in parts]
    lasts = f"{kinds[0].lasts}{_called(parts[0])} {_length(parts[0])}"
    for kind, part in zip(kinds[1:], parts[1:], strict=True):
        lasts += f" and then {kind.lasts}{_called(part)} {_length(part)}"
    if len(parts) > 1:
        lasts += f", together {in_words(sum(part.worst_s for part in parts))}"
    limit = in_words(outer.seconds)
    settings = " and ".join(_setting(kind, part) for kind, part in zip(kinds, parts, strict=True))
    together = "together to" if len(parts) > 1 else "to"
    return Finding(
        rule.severity,
        f"{outer_kind.ends}{_called(outer)} after {limit}, but {lasts}: {rule.otherwise}.",
        f"Lower {settings} {together} less than {limit}, or raise {outer_kind.setting}.",
        (rule.outer, *(kind.id for kind in kinds)),
        tuple(parts),
    )


def _missing(rungs: Sequence[Rung]) -> Iterator[Finding]:
    for rung in rungs:
        kind = BY_ID.get(rung.kind)
        if rung.seconds is None and kind is not None and kind.endless:
            yield Finding(
                "hint" if kind.only_hint else "missing",
                f"{kind.label[:1].upper()}{kind.label[1:]}{_called(rung)} has no limit at all: "
                f"{kind.endless}.",
                f"Set {_setting(kind, rung)}{_suggested(kind, rungs)}.",
                (kind.id,),
                (rung,),
            )


def _suggested(kind: Kind, rungs: Sequence[Rung]) -> str:
    """Return the room that is left below the nearest outer limit."""
    rule = _nearest((kind.id,), rungs)
    guards = [] if rule is None else [r.seconds for r in _of(rule.outer, rungs) if r.seconds]
    return f" to less than {in_words(min(guards))}" if guards else ""


def _repeated(rungs: Sequence[Rung]) -> Iterator[Finding]:
    for rung in _of("gateway", rungs):
        if rung.attempts > 1 and rung.seconds is not None:
            yield Finding(
                "hint",
                f"After {in_words(rung.seconds)} without an answer the gateway{_called(rung)} asks "
                f"the next server for the same, up to {rung.attempts} times: a slow request is "
                f"worked on by several servers, and its client waits up to "
                f"{in_words(rung.worst_s)}.",
                "Set proxy_next_upstream to error, or bound proxy_next_upstream_timeout.",
                ("gateway",),
                (rung,),
            )


def _connections(rungs: Sequence[Rung], server: int | None) -> Iterator[Finding]:
    pools = [rung for rung in rungs if rung.kind == "pool" and rung.connections is not None]
    wanted = sum(pool.connections or 0 for pool in pools)
    if server is not None and wanted > server:
        yield Finding(
            "inversion",
            f"The pools may open {wanted} connections, but the database gives out {server}: under "
            "load new connections are refused, although the pools have room.",
            "Lower pool_size and max_overflow, or raise max_connections.",
            ("pool",),
            tuple(pools),
        )


def _setting(kind: Kind, rung: Rung) -> str:
    return f"the timeout of {rung.name}" if kind.id == "call" and rung.name else kind.setting


def _called(rung: Rung) -> str:
    return f" ({rung.name})" if rung.name else ""


def _length(rung: Rung) -> str:
    if rung.attempts == 1 and rung.pause_s == 0:
        return in_words(rung.worst_s)
    pauses = f" and {in_words(rung.pause_s)} of pauses" if rung.pause_s else ""
    return (
        f"{in_words(rung.worst_s)} ({rung.attempts} attempts of {in_words(rung.seconds)}{pauses})"
    )


def in_words(seconds: float | None) -> str:
    """Return a length of time as people write it: `60 s`, `0.5 s`, `no limit`."""
    if seconds is None or seconds == float("inf"):
        return "no limit"
    if seconds >= 1e9:
        return f"{seconds:.0e} s"
    return f"{seconds:,.3f}".rstrip("0").rstrip(".") + " s"
