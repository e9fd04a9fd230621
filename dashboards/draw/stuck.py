"""What is stuck, as rows of a table, and who holds what, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.draw.text import duration, plain, short
from dashboards.language import Say
from dashboards.words import now as words
from why504.diagnose.health import Blocker, Queued
from why504.diagnose.now import Holder, Holding, Stuck

SHOWN = 200
CELL = 160
ROUTES_SHOWN = 3
INSTANCE = 12

Column = Sequence[str | float | int]


def stuck_rows(stuck: Sequence[Stuck], say: Say) -> dict[str, Column]:
    """Return one row a request, in the order given, by names of `words.COLUMNS`."""
    return {
        "frees": [one.frees for one in stuck],
        "age": [round(one.age_s, 1) for one in stuck],
        "status": [str(one.gateway_status or say(words.NOT_YET)) for one in stuck],
        "route": [plain(one.route, CELL) for one in stuck],
        "does": [plain(one.does, CELL) for one in stuck],
        "waits_for": [plain(one.waits_for, CELL) for one in stuck],
        "held_by": [_held_by(one.held_by, say) for one in stuck],
        "line": [plain(short(one.site), CELL) if one.site else "" for one in stuck],
        "process": [f"{plain(one.service, 60)} {process(one.instance)}" for one in stuck],
    }


def _held_by(holder: Holder | None, say: Say) -> str:
    if holder is None:
        return ""
    said = words.HELD_BY_ENDED if holder.request_ended else words.HELD_BY
    site = f", {plain(short(holder.site), 80)}" if holder.site else ""
    return say(said, route=plain(holder.route, 80), age=duration(holder.age_s), site=site)


def blocker_lines(told: Blocker, say: Say) -> str:
    """Return who holds up most, in at most four lines."""
    said = words.BLOCKER_HAS if told.outside else words.BLOCKER_DOES
    if told.request_ended:
        said = words.BLOCKER_ENDED
    lines = [
        plain(told.route, CELL),
        say(said, does=plain(told.does, CELL), age=duration(told.age_s)),
    ]
    if told.site:
        lines.append(say(words.AT_LINE, site=plain(str(told.site), CELL)))
    if told.frees:
        lines.append(say(words.FREES, count=told.frees))
    return "\n".join(lines)


def holder_lines(holding: Holding, queued: Sequence[Queued], more: int, say: Say) -> str:
    """Return what somebody has, since when, the lines of code, and who waits behind it.

    Args:
        holding: who has it.
        queued: who waits for the resource, most first.
        more: how many others hold the same.
        say: speaks the viewer's language.
    """
    loop = holding.resource.startswith("loop:")
    has = words.HOLDER_BLOCKS if loop else words.HOLDER_HAS
    at = words.HOLDER_BLOCKS_AT if loop else words.HOLDER_TOOK
    where = f" ({process(holding.instance)})" if holding.instance else ""
    resource = plain(f"{holding.resource}{where}", CELL)
    lines = [say(has, resource=resource, age=duration(holding.age_s))]
    if holding.site:
        lines.append(say(at, site=plain(str(holding.site), CELL)))
    if holding.request_ended and not loop:
        lines.append(say(words.HOLDER_ENDED))
    elif holding.does and not loop:
        site = f", {plain(str(holding.at), CELL)}" if holding.at else ""
        lines.append(say(words.HOLDER_DOES, does=plain(holding.does, CELL)) + site)
    lines.append(_waiters(holding, queued, say))
    if more:
        lines.append(say(words.MORE_HOLDERS, count=more))
    return "\n".join(lines)


def _waiters(holding: Holding, queued: Sequence[Queued], say: Say) -> str:
    if not holding.waiters:
        return say(words.HOLDER_NOBODY)
    routes = [
        say(
            words.HOLDER_ROUTE,
            count=one.count,
            route=plain(one.route, 80),
            age=duration(one.longest_s),
        )
        for one in queued[:ROUTES_SHOWN]
    ]
    if len(queued) > ROUTES_SHOWN:
        routes.append(say(words.MORE_ROUTES, count=len(queued) - ROUTES_SHOWN))
    return say(words.HOLDER_WAITERS, count=holding.waiters, routes=", ".join(routes))


def process(instance: str) -> str:
    """Return what tells one process from the others, short: ids of instances are long."""
    return plain(instance, INSTANCE)
