"""The guess itself: the first row that sees something, with what speaks for and against it."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from why504.diagnose.advice import session_advice
from why504.diagnose.causes import CAUSES, NOTHING_TO_BLAME, UNKNOWN, Cause
from why504.diagnose.hung.rules import RULES
from why504.diagnose.hung.scene import Scene
from why504.diagnose.hung.sighting import Sighting, at, wait
from why504.diagnose.hung.snapshot import Frame
from why504.diagnose.hung.stacks import place

_BY_ID: Final = {cause.id: cause for cause in (*CAUSES, NOTHING_TO_BLAME)}


@dataclass(frozen=True, slots=True)
class Guess:
    """What the cause may be; it is a guess, for one look from outside proves little."""

    cause: str
    """Id of the taxonomy, or `UNKNOWN`."""
    or_else: Sequence[str]
    """Causes that look the same from outside, and are less likely."""
    title: str
    sentence: str
    site: Frame | None
    evidence_for: Sequence[str]
    evidence_against: Sequence[str]
    advice: Sequence[str]
    page: str
    """Where the cause is explained, below the repository's root; empty for UNKNOWN."""


def guess(scene: Scene) -> Guess:
    """Return the first guess at why a process hangs; that there is none is a guess too."""
    seen = next((sight for rule in RULES if (sight := rule(scene))), None) or _nothing(scene)
    cause = _BY_ID.get(seen.causes[0])
    against = [*seen.doubt, *_doubts(scene, seen)]
    if len(seen.causes) > 1:
        against.append(f"{_listed(seen.causes[1:])} would look the same from outside")
    return Guess(
        cause=seen.causes[0],
        or_else=tuple(seen.causes[1:]),
        title=cause.title if cause else seen.title,
        sentence=seen.sentence,
        site=seen.site,
        evidence_for=[*seen.proof, *_crowd(scene)],
        evidence_against=against,
        advice=[*seen.advice, *(_advice(cause, seen.site) if cause else ())],
        page=cause.page if cause else "",
    )


def _nothing(scene: Scene) -> Sighting:
    busy = [doing for doing in scene.doings if doing.busy]
    if not scene.doings:
        why = "no stack could be read"
    elif scene.unanswered and not busy:
        why = (
            f"{wait(len(scene.unanswered), 'client')} for an answer, the event loop is free, and "
            "no peer owes one: coroutines wait inside the process, for a pool, a lock or a queue"
        )
    elif len(busy) == 1:
        why = f"thread {busy[0].thread.name} {busy[0].words}{at(busy[0].site)}"
    elif busy:
        why = f"{len(busy)} threads are busy, each with something else"
    else:
        why = "nothing runs, and nothing is seen that waits"
    return Sighting(
        (UNKNOWN,),
        f"no guess: {why}",
        title="No guess",
        advice=["Look again in a minute: what is the same then is what hangs."],
    )


def _crowd(scene: Scene) -> list[str]:
    """Return who waits for the process, whatever the cause."""
    lines = []
    if scene.unanswered and scene.unanswered[0].received_ago_s is not None:
        oldest_s = scene.unanswered[0].received_ago_s
        lines.append(f"{wait(len(scene.unanswered), 'client')}, the oldest for {oldest_s:.0f} s")
    for listener in scene.look.listeners:
        if listener.waiting:
            room = "" if listener.room is None else f" (room for {listener.room})"
            waiting = wait(listener.waiting, "connection")
            lines.append(f"{waiting} to be accepted on port {listener.port}{room}")
    return lines


def _doubts(scene: Scene, seen: Sighting) -> list[str]:
    """Return what was seen and does not fit."""
    if seen.causes[0] in (UNKNOWN, "N0"):
        return []
    doubts = []
    clients = [one for one in scene.look.sockets if one.incoming]
    if scene.tells_idleness and not scene.unanswered and clients:
        doubts.append("no client of it waits for an answer just now")
    if scene.look.samples < 3:
        doubts.append(f"its stacks could be read {scene.look.samples} times only")
    return doubts


def _advice(cause: Cause, site: Frame | None) -> list[str]:
    """Return the taxonomy's advice; lines that need what only an incident knows are left out."""
    # Of the session that blocks it a process knows nothing: what holds for most is told.
    known = {"session": session_advice(""), **({"site": place(site)} if site else {})}
    fields = string.Formatter()
    rows = [(line, {name for _, name, _, _ in fields.parse(line) if name}) for line in cause.advice]
    return [line.format(**known) for line, wanted in rows if wanted <= known.keys()]


def _listed(ids: Sequence[str]) -> str:
    return " or ".join(f"{one} ({_BY_ID[one].title})" for one in ids)
