"""Whether a service is healthy now: one verdict out of a live view, and the figures behind it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from why504.diagnose.gauges import Standing, hang, standings
from why504.diagnose.kept import SILENT_NS
from why504.diagnose.now import Busy, Now, Stuck
from why504.diagnose.victims import GATEWAY_TIMEOUT
from why504.model import Site

HEALTHY: Final = "healthy"
RECOVERING: Final = "recovering"
"""Requests were given up in the last minute, and nothing is stuck any more."""
SLOW: Final = "slow"
HUNG: Final = "hung"
UNHEARD: Final = "unheard"
"""Nobody was heard of for a minute: no news is no all-clear."""

SLOW_S: Final = 5.0
"""Open for longer is slow; where the gateway waits for less than twice as long, half of that."""
HUNG_S: Final = 10.0
"""Waiting for longer is hanging, also where no gateway tells of it."""
_OLDEST_S: Final = 30.0
"""The oldest request by gauges, where nobody tells how long the gateway waits: as the rule
OldestInFlightRequest has it."""
_JUST_NOW_S: Final = 10
_A_MINUTE_S: Final = 60.0
BINS: Final = 24
_BEYOND: Final = 1.5
"""So many times the gateway's limit are drawn at least ..."""
_FAR_BEYOND: Final = 10.0
"""... and at most; what is older still is one count."""
_LEAST_AXIS_S: Final = 1.0
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Health:
    """A verdict, and what it was made of."""

    state: str
    """healthy, recovering, slow, hung or unheard."""
    heard_s: float | None
    """Seconds since a process of the service was heard of; None: for 15 minutes it was not."""
    timeouts: int
    """504s of the last minute."""
    open: int
    slow: int
    """Of the open ones that somebody waits for, those open for longer than `slow_after_s`."""
    late: int
    """Of the slow ones, those that the gateway answered 504, or has waited for long enough to."""
    slow_after_s: float
    limit_s: float | None
    standings: Sequence[Standing] = ()
    """What gauges tell, service by service; none where nobody asks Prometheus."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """Who holds up most."""

    trace_id: str
    route: str
    does: str
    """What it does, or what it has where that is all that is known."""
    site: Site | None
    """The line that it is at; else the one where it took what it has."""
    age_s: float
    """For how long it is open; where it is outside, for how long it has what it has."""
    frees: int
    """Requests that wait, directly or through others, for something that it has."""
    outside: bool = False
    """Whether no request of it is open: a database session, a leak, code behind its request."""
    request_ended: bool = False
    """Whether its request is over and it was never given back: a leak."""


@dataclass(frozen=True, slots=True)
class Ages:
    """Open requests by age."""

    width_s: float
    """Of a bin; the first one begins at 0."""
    counts: Sequence[int]
    """Requests a bin, youngest first."""
    longer: int
    """Requests older than the last bin."""


@dataclass(frozen=True, slots=True)
class Queued:
    """Requests of one route that wait for one resource."""

    route: str
    count: int
    longest_s: float


def health(now: Now, limit_s: float | None = None) -> Health:
    """Return the verdict on a moment.

    Args:
        now: the moment.
        limit_s: how long the gateway waits, where the view itself can't tell.
    """
    limit_s = now.limit_s or limit_s
    slow_after_s = min(SLOW_S, limit_s / 2) if limit_s else SLOW_S
    asked = [one for one in now.open if one.asked]
    slow = [one for one in asked if one.age_s >= slow_after_s]
    late = [one for one in slow if _is_late(one, limit_s)]
    by_gauges = standings(now.measured)
    heard_ns = max([now.heard_ns or 0, *(one.told_ns for one in by_gauges)])
    heard_s = max(0.0, (now.at_ns - heard_ns) / 1e9) if heard_ns else None
    return Health(
        state=_state(now, slow, heard_s, limit_s, by_gauges),
        standings=by_gauges,
        heard_s=heard_s,
        timeouts=sum(now.timeouts_per_s),
        open=len(now.open),
        slow=len(slow),
        late=len(late),
        slow_after_s=slow_after_s,
        limit_s=limit_s,
    )


def _state(
    now: Now,
    slow: Sequence[Stuck],
    heard_s: float | None,
    limit_s: float | None,
    by_gauges: Sequence[Standing],
) -> str:
    gave_up = any(now.timeouts_per_s[-_JUST_NOW_S:])
    if gave_up or _hangs(slow, limit_s) or hang(by_gauges, limit_s or _OLDEST_S):
        return HUNG
    if heard_s is None or heard_s * 1e9 > SILENT_NS:
        return UNHEARD
    if slow:
        return SLOW
    return RECOVERING if any(now.timeouts_per_s) else HEALTHY


def _hangs(slow: Sequence[Stuck], limit_s: float | None) -> bool:
    """Return whether somebody waits too long who came lately.

    A request that was given up long ago and never ended does not make a service hang by itself.
    """
    given_up_after_s = limit_s or HUNG_S
    return any(
        (_is_late(one, limit_s) and one.age_s < given_up_after_s + _A_MINUTE_S)
        or (one.waits_for and HUNG_S <= one.waits_s < given_up_after_s + _A_MINUTE_S)
        for one in slow
    )


def _is_late(one: Stuck, limit_s: float | None) -> bool:
    past = limit_s is not None and one.age_s >= limit_s
    return past or one.gateway_status == GATEWAY_TIMEOUT


def blocker(now: Now) -> Blocker | None:
    """Return who holds up most; where nobody waits for anybody, the oldest request; else None.

    Who waits for a session outside the application, or for what a leak kept, is not the one to
    look at, however many wait for it in turn.
    """
    first = now.open[0] if now.open else None
    outside = max(_outside(now), key=lambda one: one.frees, default=None)
    if outside is not None and (first is None or outside.frees >= first.frees):
        return outside
    if first is None:
        return None
    return Blocker(first.trace_id, first.route, first.does, first.site, first.age_s, first.frees)


def _outside(now: Now) -> Iterator[Blocker]:
    """Yield those whom others wait for though no open request of theirs is known."""
    known = {one.trace_id for one in now.open}
    behind: dict[tuple[str, str], int] = defaultdict(int)
    for one in now.open:
        if one.held_by is not None:
            key = one.waits_for, one.held_by.trace_id
            behind[key] = max(behind[key], one.frees)
    for held in now.holders:
        if held.waiters and held.trace_id not in known:
            # Code may go on blocking the loop after its request was answered; that is no leak.
            loop = held.resource.startswith("loop:")
            yield Blocker(
                held.trace_id, held.route, f"{'blocks' if loop else 'has'} {held.resource}",
                held.at or held.site, held.age_s,
                held.waiters + behind[held.resource, held.trace_id],
                outside=True, request_ended=held.request_ended and not loop,
            )  # fmt: skip


def ages(now: Now, limit_s: float | None) -> Ages:
    """Return how old the open requests are, in about 24 bins.

    They reach from 0 to the oldest. The gateway's limit is where two bins meet; they reach to 1.5
    times that at least, and at most to 10 times.
    """
    told = [one.age_s for one in now.open]
    end_s = max(_LEAST_AXIS_S, max(told, default=0.0))
    width_s = end_s / BINS
    if limit_s:
        end_s = min(max(end_s, limit_s * _BEYOND), limit_s * _FAR_BEYOND)
        width_s = limit_s / max(1, round(BINS * limit_s / end_s))
    bins = math.ceil(end_s / width_s - _ROUNDING)
    # Who is exactly as old as the axis is long belongs into the last bin.
    end_s = bins * width_s
    places = Counter(min(int(age_s / width_s), bins - 1) for age_s in told if age_s <= end_s)
    counts = [places[n] for n in range(bins)]
    return Ages(width_s, counts, len(told) - sum(counts))


def queues(now: Now) -> Mapping[tuple[str, str], Sequence[Queued]]:
    """Return who waits for what: (resource, instance) of a `Busy` -> routes, most waiters first."""
    waits_s: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    shared = {busy.resource for busy in now.resources if not busy.instance}
    for one in now.open:
        if one.waits_for:
            key = one.waits_for, "" if one.waits_for in shared else one.instance
            waits_s[key][one.route].append(one.waits_s)
    return {
        key: sorted(
            (Queued(route, len(told), max(told)) for route, told in routes.items()),
            key=lambda queued: (-queued.count, queued.route),
        )
        for key, routes in waits_s.items()
    }


def used(busy: Busy) -> int:
    """Return how many units are taken: at least those known, and all of them while one waits."""
    if busy.capacity is None:
        return busy.units
    return busy.capacity if busy.waiters else min(busy.units, busy.capacity)
