"""What gauges tell of this moment, service by service: figures beside what spans show. Pure.

Gauges are told by a thread of their own in each process, so they know of a hang some seconds before
a store of traces can be searched for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from why504 import measured as kinds
from why504.measured import Measured, Track

BLOCKED_S: Final = 5.0
"""A loop that has not turned for longer hangs, as the rule EventLoopBlocked has it."""
_MOST_POOLS: Final = 5


@dataclass(frozen=True, slots=True)
class Taken:
    """A pool, or the threads, of all processes of a service together."""

    name: str
    in_use: int
    capacity: int | None
    """None where some process does not tell."""
    waiting: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One service by its gauges; None is what no process told."""

    service: str
    processes: int
    """So many were read."""
    told_ns: int
    """When the latest of them was read."""
    open: int | None
    oldest_s: float | None
    """Age of the oldest request in flight, in any process."""
    blocked: int
    """Processes whose event loop does not turn."""
    stall_s: float
    """For how long the loop of the worst one has not; 0 where all turn."""
    taken: Sequence[Taken]
    """Most waited for first, then the fullest; five at most."""


def standings(measured: Measured | None) -> list[Standing]:
    """Return what gauges tell, the service with the oldest request first."""
    by_service: dict[str, list[Track]] = defaultdict(list)
    for track in measured.tracks if measured else ():
        if track.instance:
            by_service[track.service].append(track)
    found = [_standing(service, tracks) for service, tracks in by_service.items()]
    return sorted(found, key=lambda one: (-(one.oldest_s or 0.0), one.service))


def _standing(service: str, tracks: Sequence[Track]) -> Standing:
    latest = _latest(tracks)
    stalls = [value for value in latest[kinds.STALL_S].values() if value > 0]
    ages = latest[kinds.OLDEST_S].values()
    requests = latest[kinds.OPEN].values()
    scraped = [track.at_ns[-1] for track in tracks if track.kind == kinds.OLDEST_S]
    return Standing(
        service=service,
        processes=len({track.instance for track in tracks}),
        told_ns=max(scraped or [track.at_ns[-1] for track in tracks]),
        open=round(sum(requests)) if requests else None,
        oldest_s=max(ages, default=None),
        blocked=len(stalls),
        stall_s=max(stalls, default=0.0),
        taken=_taken(latest),
    )


_Latest = Mapping[str, Mapping[tuple[str, str], float]]
"""Kind -> (name, instance) -> the latest value."""


def _latest(tracks: Iterable[Track]) -> _Latest:
    found: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for track in tracks:
        found[track.kind][track.name, track.instance] = track.values[-1]
    return found


def _taken(latest: _Latest) -> list[Taken]:
    in_use, capacity, waiting = (
        latest[kind] for kind in (kinds.IN_USE, kinds.CAPACITY, kinds.WAITING)
    )
    found = []
    for name in sorted({name for name, _ in [*in_use, *waiting]}):
        mine = {key for key in [*in_use, *waiting] if key[0] == name}
        units = [capacity[key] for key in mine if key in capacity]
        found.append(
            Taken(
                name,
                round(sum(in_use.get(key, 0.0) for key in mine)),
                round(sum(units)) if len(units) == len(mine) else None,
                round(sum(waiting.get(key, 0.0) for key in mine)),
            )
        )
    found = [one for one in found if one.in_use or one.waiting]
    found.sort(key=lambda one: (-one.waiting, -one.in_use, one.name))
    return found[:_MOST_POOLS]


def hang(found: Iterable[Standing], limit_s: float) -> bool:
    """Return whether a service hangs by its gauges alone.

    Its loop stands, or its oldest request has been there for as long as `limit_s` and not a minute
    longer: one that was given up long ago and never ended is no hang.
    """
    return any(
        one.stall_s >= BLOCKED_S
        or (one.oldest_s is not None and limit_s <= one.oldest_s < limit_s + _A_MINUTE_S)
        for one in found
    )


_A_MINUTE_S: Final = 60.0
