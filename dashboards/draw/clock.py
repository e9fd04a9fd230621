"""A time axis in the visitor's zone, whatever zone the browser that draws it is in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

import altair as alt

from dashboards.draw.text import moment
from why504.model import Window

_LONG_NS = 2 * 3600 * 10**9
_DAYS_NS = 48 * 3600 * 10**9


@dataclass(frozen=True, slots=True)
class Clock:
    """What a time axis shows; milliseconds of its zone, which a chart must draw as UTC."""

    window: Window
    zone: tzinfo = UTC

    def ms(self, time_ns: int) -> float:
        """Return a moment, at most as early or late as the axis shows."""
        window = self.window
        shown_ns = min(max(time_ns, window.start_ns), window.end_ns)
        return shown_ns / 1e6 + self._offset_ms

    def share(self, time_ns: int) -> float:
        """Return where on the axis a moment is: 0.0 is its left end, 1.0 its right one."""
        length_ns = self.window.end_ns - self.window.start_ns
        return min(max((time_ns - self.window.start_ns) / max(length_ns, 1), 0.0), 1.0)

    def shows(self, time_ns: int) -> bool:
        """Return whether a moment is on the axis."""
        return self.window.start_ns <= time_ns <= self.window.end_ns

    def say(self, time_ns: int) -> str:
        """Return a moment for people, with its date where the axis covers days."""
        return moment(time_ns, self.zone, date=self._length_ns > _DAYS_NS)

    @property
    def ends(self) -> list[float]:
        """Return both ends of the axis."""
        return [self.ms(self.window.start_ns), self.ms(self.window.end_ns)]

    def x(self, field: str) -> alt.X:
        """Return the axis, for a field of milliseconds; `ends` must be among what it draws.

        Streamlit's browser does not understand ends that are told as the scale's domain.
        """
        scale = alt.Scale(type="utc", nice=False)
        clock = "%H:%M" if self._length_ns > _LONG_NS else "%H:%M:%S"
        shown = "%d.%m. %H:%M" if self._length_ns > _DAYS_NS else clock
        axis = alt.Axis(orient="top", format=shown, tickCount=5, labelOverlap=True, grid=True)
        return alt.X(f"{field}:T", scale=scale, axis=axis, title=None)

    @property
    def _length_ns(self) -> int:
        return self.window.end_ns - self.window.start_ns

    @property
    def _offset_ms(self) -> float:
        # One for the whole axis: it stays even where clocks are changed meanwhile.
        began = datetime.fromtimestamp(self.window.start_ns // 10**9, tz=self.zone)
        offset = began.utcoffset()
        return offset.total_seconds() * 1000 if offset else 0.0
