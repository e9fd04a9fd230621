"""The time of an incident, as series on one axis: what was full, blocked and refused when.

Pure: evidence in, numbers out. Who draws it: dashboards/draw/timeline.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from why504.diagnose.course import tracks
from why504.diagnose.course.metered import Metered
from why504.diagnose.course.moments import MOST as MOST_MOMENTS
from why504.diagnose.course.moments import Moment, moments
from why504.diagnose.course.pools import pools
from why504.diagnose.course.reading import Reading, Series, everything, ready
from why504.diagnose.endings import end_of
from why504.model import Evidence, Incident, Window

__all__ = ["Moment", "Series", "Timeline", "timeline"]

MOST_SERIES: Final = 12


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened when, before, during and after an incident."""

    window: Window
    """What the axis shows: the incident, and of the evidence's window the part that was told of."""
    bucket_ns: int
    """Length of a bucket; the first begins at `window.start_ns`."""
    series: Sequence[Series]
    """All with the same number of values."""
    moments: Sequence[Moment]
    source: str = ""
    """Whose metrics stand in for spans that were not read; empty where all is of spans."""

    def edge_ns(self, place: int) -> int:
        """Return when a bucket begins; the last reaches to the end of the window."""
        if not self.series or place >= len(self.series[0].values):
            return self.window.end_ns
        return self.window.start_ns + place * self.bucket_ns


def timeline(evidence: Evidence, incident: Incident) -> Timeline:
    """Return at most 12 series that say something, of at most 240 buckets, and moments in order.

    The 504s come first and are always there. Of a sample the series are those of metrics, as far
    as there are any; the others are estimates, and what can't be told of a sample honestly
    (requests in flight) is left out.

    Args:
        evidence: of the incident's time, with what was before and after it.
        incident: found in this evidence or in more of it.
    """
    evidence = ready(evidence)
    reading = Reading(evidence, _axis(evidence, incident.window))
    told = Metered(reading, incident)
    series = [
        *(told.timeouts() or tracks.timeouts(reading, incident)),
        *(told.open_requests() or tracks.open_requests(reading)),
        *(told.pools() or pools(reading)),
        *(told.stalls() or tracks.stalls(reading)),
        *tracks.failed_calls(reading),
        *(told.queued() or tracks.queued(reading)),
        *(told.vitals() or tracks.vitals(reading)),
    ]
    happened = sorted([*moments(reading), *told.starts()], key=lambda moment: moment.at_ns)
    return Timeline(
        window=reading.buckets.window,
        bucket_ns=reading.buckets.bucket_ns,
        series=series[:MOST_SERIES],
        moments=happened[:MOST_MOMENTS],
        source=told.source,
    )


def _axis(evidence: Evidence, during: Window) -> Window:
    """Return the part of the window that anybody told of, and all of the incident.

    A store may have begun a minute ago: an axis of which most is empty hides what there is.
    """
    asked = evidence.window
    starts_ns = [max(item.start_ns, asked.start_ns) for item in everything(evidence)]
    ends_ns = [end_of(item, evidence.heard_ns) for item in everything(evidence)]
    last_ns = min(asked.end_ns, max([during.end_ns, *ends_ns, *evidence.heard_ns.values()]))
    first_ns = min([during.start_ns, *starts_ns])
    return Window(first_ns, max(last_ns, during.end_ns))
