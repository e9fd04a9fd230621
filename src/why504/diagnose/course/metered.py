"""The course of a window by metrics: of a sample they tell what spans can only estimate.

What a gauge was told to be at a moment is its highest since the moment before; where nobody told,
there is a gap. Of several services those count whose requests timed out, where metrics name them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from why504 import measured as kinds
from why504.diagnose.course.buckets import Floats
from why504.diagnose.course.moments import Moment
from why504.diagnose.course.reading import Reading, Series, series
from why504.measured import Track
from why504.model import Incident

_MOST: Final = 2
"""So many loops, queues and processes each, those that stand out most."""
_MOST_POOLS: Final = 3
_BUSY_CORES: Final = 0.05
_MUCH_MEMORY: Final = 0.5
_ANEW_S: Final = 1.5
"""A start that is told to be as much later is another one; its digits may differ."""


class Metered:
    """What metrics tell over the buckets of a window; nothing of what was read whole."""

    def __init__(self, reading: Reading, incident: Incident) -> None:
        """Take the window, and an incident in it."""
        self._buckets = reading.buckets
        told = reading.evidence.measured if reading.evidence.sample else None
        tracks = told.tracks if told else ()
        hit = {victim.service for victim in incident.victims}
        known = {track.service for track in tracks}
        self.source = told.source if told and tracks else ""
        self._tracks: Mapping[str, list[Track]] = _by_kind(
            track for track in tracks if not (hit & known) or track.service in hit
            or not track.instance
        )  # fmt: skip

    def timeouts(self) -> list[Series]:
        """Return the 504s a second: what a counter grew by is spread over the time it took."""
        tracks = self._tracks[kinds.TIMEOUTS]
        if not tracks:
            return []
        rate, known = np.zeros(len(self._buckets)), np.zeros(len(self._buckets), np.bool_)
        for track in tracks:
            at_s = self._buckets.seconds(track.at_ns)
            values = np.array(track.values, np.float64)
            steps = np.diff(values)
            grown = np.where(steps < 0, values[1:], steps)
            lasted_s = np.diff(at_s)
            rate += self._buckets.filled(at_s[:-1], at_s[1:], grown / lasted_s)
            known |= self._buckets.touched(at_s[:-1], at_s[1:])
        return [series("timeouts", "", np.where(rate > 1e-9, rate, 0.0), known)]

    def open_requests(self) -> list[Series]:
        """Return the requests in flight, of all processes."""
        return self._summed("open", kinds.OPEN)

    def pools(self) -> list[Series]:
        """Return what was in use and who waited, what most waited for first."""
        waiting = self._by_name(kinds.WAITING)
        in_use = self._by_name(kinds.IN_USE)
        capacity = self._by_name(kinds.CAPACITY)
        ranked = sorted(
            {*waiting, *in_use},
            key=lambda name: (-_total(waiting.get(name)), -_total(in_use.get(name)), name),
        )
        found: list[Series] = []
        for name in ranked[:_MOST_POOLS]:
            limit = capacity.get(name)
            most = None if limit is None else float(np.nanmax(limit, initial=0.0)) or None
            for kind, told in (("pool_in_use", in_use), ("pool_waiting", waiting)):
                if name in told:
                    found.append(_series(kind, name, told[name], most if told is in_use else None))
        return [one for one in found if one.most > 0]

    def stalls(self) -> list[Series]:
        """Return how much of the time event loops stood still, by how long they had stood."""
        found = []
        for track in self._tracks[kinds.STALL_S]:
            at_s = self._buckets.seconds(track.at_ns)
            stood_s = np.array(track.values, np.float64)
            start_s, end_s = _joined(at_s - stood_s, at_s)
            share = self._buckets.filled(start_s, end_s, np.ones(len(start_s)))
            known = ~np.isnan(self._over(track))
            name = f"loop:{track.instance}"
            found.append(series("stalled", name, share.clip(0.0, 1.0), known, 1.0))
        return _standing_out(found)

    def queued(self) -> list[Series]:
        """Return how many messages were ready in the deepest queues."""
        told = self._by_name(kinds.QUEUED)
        return _standing_out([_series("queued", name, values) for name, values in told.items()])

    def vitals(self) -> list[Series]:
        """Return the cores that processes used, and memory where it was much of what they may."""
        limits = {track.instance: track.values[-1] for track in self._tracks[kinds.MEMORY_LIMIT]}
        cores = [
            _series("cpu", track.instance, self._over(track)) for track in self._tracks[kinds.CORES]
        ]
        memory = [
            _series("memory", track.instance, self._over(track), limits.get(track.instance))
            for track in self._tracks[kinds.MEMORY]
        ]
        busy = [one for one in cores if one.most > _BUSY_CORES]
        full = [one for one in memory if one.limit and one.most > one.limit * _MUCH_MEMORY]
        return _standing_out(busy) + _standing_out(full)

    def starts(self) -> Iterator[Moment]:
        """Yield when processes were started: under an address that had another one before."""
        window = self._buckets.window
        for track in self._tracks[kinds.STARTED_S]:
            for before_s, started_s in zip(track.values, track.values[1:], strict=False):
                at_ns = round(started_s * 1e9)
                inside = window.start_ns <= at_ns < window.end_ns
                if started_s > before_s + _ANEW_S and inside:
                    yield Moment(at_ns, "started", f"{track.service}, {track.instance}")

    def _summed(self, kind: str, source: str) -> list[Series]:
        told = self._by_name(source)
        return [_series(kind, "", values) for values in told.values() if np.nanmax(values) > 0]

    def _by_name(self, kind: str) -> dict[str, Floats]:
        """Return what the processes tell together, by name; NaN where none does."""
        found: dict[str, list[Floats]] = defaultdict(list)
        for track in self._tracks[kind]:
            found[track.name].append(self._over(track))
        return {
            name: np.where(np.isnan(rows).all(axis=0), np.nan, np.nansum(rows, axis=0))
            for name, rows in found.items()
            if not np.isnan(rows).all()
        }

    def _over(self, track: Track) -> Floats:
        """Return a gauge, bucket by bucket."""
        at_s = self._buckets.seconds(track.at_ns)
        step_s = float(np.diff(at_s).min(initial=np.inf))
        step_s = step_s if np.isfinite(step_s) else float(self._buckets.lengths_s[0])
        values = np.array(track.values, np.float64)
        lasting = self._buckets.lasting(at_s - step_s, values, step_s)
        return np.fmax(lasting, self._buckets.peaks(at_s - step_s / 2, values))


def _by_kind(tracks: Iterable[Track]) -> Mapping[str, list[Track]]:
    found: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        found[track.kind].append(track)
    return found


def _joined(start_s: Floats, end_s: Floats) -> tuple[Floats, Floats]:
    """Return intervals, in order of their ends, as disjoint ones: told twice it stood once."""
    mine = end_s > start_s
    start_s, end_s = start_s[mine], end_s[mine]
    later = np.concatenate(([-np.inf], end_s[:-1]))
    return np.maximum(start_s, later), end_s


def _series(kind: str, name: str, values: Floats, limit: float | None = None) -> Series:
    return series(kind, name, values, ~np.isnan(values), limit)


def _total(values: Floats | None) -> float:
    return 0.0 if values is None else float(np.nansum(values))


def _standing_out(found: Sequence[Series]) -> list[Series]:
    ranked = sorted(found, key=lambda one: (-sum(v for v in one.values if v is not None), one.name))
    return [one for one in ranked if one.most > 0][:_MOST]
