"""The hourly digest of what wakes nobody: what fired, how often, for how long, and what still does.

When it is due is told by what waits for it, so that a restart neither forgets one nor sends two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from why504.alerts.alert import FIRING
from why504.alerts.cards.card import batch_of, listed
from why504.alerts.cards.frame import Place
from why504.alerts.cards.words import word
from why504.alerts.kept.message import Batch, Change

HOUR_NS: Final = 3600 * 10**9


class _Rule(NamedTuple):
    """All alerts of one rule."""

    services: set[str]
    fired: set[tuple[str, int]]
    firing: set[tuple[str, int]]
    lasted_s: list[float]


def due_before_ns(now_ns: int) -> int:
    """Return the end of the last whole hour, UTC: what came before belongs into its digest."""
    return now_ns // HOUR_NS * HOUR_NS


def digest(changes: Sequence[Change], place: Place) -> Batch:
    """Return the message that tells an hour's P2 alerts, a line a rule; at least one change."""
    rules: dict[str, _Rule] = defaultdict(lambda: _Rule(set(), set(), set(), []))
    for change in changes:
        alert = change.alert
        rule = rules[alert.name]
        rule.services.add(alert.service or "-")
        rule.fired.add(alert.identity)
        if alert.status == FIRING:
            rule.firing.add(alert.identity)
        elif alert.ends_ns is not None:
            rule.firing.discard(alert.identity)
            rule.lasted_s.append(max(0, alert.ends_ns - alert.starts_ns) / 1e9)
    busiest = sorted(rules.items(), key=lambda item: (-len(item[1].fired), item[0]))
    lines = [(_heading(name, rule, place), ", ".join(sorted(rule.services)))
             for name, rule in busiest]  # fmt: skip
    fired = sum(len(rule.fired) for rule in rules.values())
    title = word("digest", place.language, alerts=fired)
    return batch_of(changes, listed(title, lines, f"digest-{changes[0].id}", place))


def _heading(name: str, rule: _Rule, place: Place) -> str:
    lasted_s = round(sum(rule.lasted_s))
    told = f"{len(rule.fired)} x {name}"
    if rule.lasted_s:
        told += f" · {word('lasted', place.language)} {lasted_s} s"
    if rule.firing:
        told += f" · {len(rule.firing)} {word('firing', place.language)}"
    return told
