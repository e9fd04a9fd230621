"""504s by the gateways' own counters, beside those that spans tell of. Pure.

Traces may be sampled, and spans get lost; a counter sees every request. It says nothing of why, so
it never changes a verdict: it says of how many there is no span.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np

from why504.diagnose.peers import status_of
from why504.diagnose.victims import GATEWAY_TIMEOUT, GaveUp
from why504.measured import TIMEOUTS, Measured, Track
from why504.model import Evidence, Incident, Window

_READ_LATE_NS: Final = 40 * 10**9
"""So much after a 504 its counter was read, at an interval of up to 30 s, and its log's line."""
_ALIKE: Final = 0.05
"""Counts that differ by less, or by fewer than three, are the same: a scrape is not at an edge."""
_FEW: Final = 3


@dataclass(frozen=True, slots=True)
class Counted:
    """How many 504s the counters told of, in some time."""

    number: int
    services: Sequence[str]
    """Behind which gateways they were counted, those without any left out."""
    whole: bool
    """Whether each counter was read before the time and after it."""


def counted(measured: Measured | None, window: Window) -> Counted | None:
    """Return what the counters say of a window, both ends included; None if they say nothing.

    A counter that was restarted begins anew: what it has then was counted since. What one has when
    it is seen for the first time was counted nobody knows when, and is left out.
    """
    tracks = list(measured.of(TIMEOUTS)) if measured else []
    known = [track for track in tracks if _overlaps(track, window)]
    if not known:
        return None
    grown = [_grown(track, window) for track in known]
    services = sorted({track.service for track, number in zip(known, grown, strict=True) if number})
    whole = all(
        track.at_ns[0] <= window.start_ns and track.at_ns[-1] >= window.end_ns for track in known
    )
    return Counted(round(sum(grown)), services, whole)


def compared(
    found: Sequence[Incident], burst: Sequence[GaveUp], evidence: Evidence
) -> list[Incident]:
    """Return the incidents of one burst with what the counters say of its time, and a caveat.

    Args:
        found: the incidents that the burst was parted into, often one.
        burst: in order of giving up.
        evidence: which may have been measured, too.
    """
    measured = evidence.measured
    if measured is None:
        return list(found)
    gave_up = [one for one in burst if status_of(one.span.attributes) == GATEWAY_TIMEOUT]
    if not gave_up:
        return list(found)
    weights = evidence.sample.stands_for if evidence.sample else {}
    spans = round(sum(weights.get(one.span.trace_id, 1.0) for one in gave_up))
    window = Window(gave_up[0].end_ns, gave_up[-1].end_ns)
    told = counted(measured, window)
    lines = [_said(told, spans, window)] if told else []
    lines += measured.problems
    return [
        replace(
            incident,
            counted=told.number if told else None,
            caveats=[*incident.caveats, *filter(None, lines)],
        )
        for incident in found
    ]


def unseen(evidence: Evidence) -> str:
    """Return what to say where no span tells of a 504 and a counter does; empty if none does."""
    told = counted(evidence.measured, evidence.window)
    if told is None or not told.number:
        return ""
    return (
        f"the gateway's counter{_of(told)} has {told.number} x 504 of this time, and there is no "
        "span of any: traces were sampled, lost on their way, or the gateway's log is not followed"
    )


def _said(told: Counted, spans: int, window: Window) -> str:
    """Return the caveat about two counts; empty where they agree."""
    apart = abs(told.number - spans)
    if apart < _FEW or apart <= _ALIKE * max(told.number, spans):
        return ""
    when = f"from {_clock(window.start_ns)} to {_clock(window.end_ns)} UTC"
    if told.number > spans:
        return (
            f"the gateway's counter{_of(told)} has {told.number} x 504 {when}, spans tell of "
            f"{spans}: traces were sampled or lost on their way, and shares are of those that are "
            "there"
        )
    why = (
        "a gateway's counter is not read"
        if told.whole
        else "it was not read all the time, or began anew meanwhile"
    )
    return f"the gateway's counter{_of(told)} has only {told.number} of {spans} x 504 {when}: {why}"


def _of(told: Counted) -> str:
    services = [service for service in told.services if service]
    return f" of {' and '.join(services)}" if len(services) > 1 else ""


def _overlaps(track: Track, window: Window) -> bool:
    last_ns = window.end_ns + _READ_LATE_NS
    return track.at_ns[0] <= last_ns and track.at_ns[-1] >= window.start_ns


def _grown(track: Track, window: Window) -> float:
    """Return by how much a counter grew in a window, and as it was read next."""
    at_ns, values = np.array(track.at_ns, np.int64), np.array(track.values, np.float64)
    steps = np.diff(values)
    steps = np.where(steps < 0, values[1:], steps)
    inside = (at_ns[1:] > window.start_ns) & (at_ns[1:] <= window.end_ns + _READ_LATE_NS)
    return float(steps[inside].sum())


def _clock(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, tz=UTC).strftime("%H:%M:%S")
