"""The series of a timeline as rows: titles, shapes and cells to point at, placed in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from dashboards.draw.clock import Clock
from dashboards.draw.palette import ALARM, KINDS
from dashboards.draw.text import figure, percent, plain, size
from dashboards.language import Said, Say
from dashboards.words import timeline as words
from why504 import names
from why504.diagnose.timeline import Series, Timeline

Data = list[dict[str, Any]]

TITLE_HEIGHT: Final = 18
BAND_HEIGHT: Final = 32
ROW_HEIGHT: Final = TITLE_HEIGHT + BAND_HEIGHT + 12
_NAME: Final = 60
_LOOP: Final = "loop:"
_COLORS: Final = {
    "timeouts": ALARM,
    "open": KINDS["gateway"],
    "pool_in_use": KINDS["hold"],
    "pool_waiting": KINDS["wait"],
    "stalled": KINDS["stall"],
    "llm_errors": KINDS["application"],
    "queued": KINDS["database"],
}
"""Kind of a series -> colour of its row; a title says what it is, whatever the colour."""
_OTHER_COLOR: Final = KINDS["gateway"]


@dataclass(frozen=True, slots=True)
class Track:
    """One row of the timeline."""

    series: Series
    title: str
    top: float
    """Pixels from the top of the chart to the top of the row."""
    most: float
    """The largest value."""

    @property
    def ground(self) -> float:
        """Return where zero is."""
        return self.top + TITLE_HEIGHT + BAND_HEIGHT

    @property
    def color(self) -> str:
        """Return the colour of its kind."""
        return _COLORS.get(self.series.kind, _OTHER_COLOR)

    def y(self, value: float) -> float:
        """Return where a value is; the limit is inside the band, unless it is far away."""
        limit = self.limit or 0.0
        return self.ground - BAND_HEIGHT * value / (max(self.most, limit) or 1.0)

    @property
    def limit(self) -> float | None:
        """Return the limit if it can be drawn to scale with the values."""
        limit, most = self.series.limit, self.most
        return limit if limit and (self.series.kind in _FULL_SCALE or most * 5 > limit) else None


_FULL_SCALE: Final = ("pool_in_use", "stalled")
"""Of these it tells something that they are far from their limit."""


def tracks(timeline: Timeline, top: float, say: Say) -> list[Track]:
    """Return the rows from top to bottom."""
    return [
        Track(one, title(one, say), top + ROW_HEIGHT * place, one.most)
        for place, one in enumerate(timeline.series)
    ]


def title(series: Series, say: Say) -> str:
    """Return what a row shows, for people."""
    name = series.name
    match series.kind:
        case "pool_in_use":
            said, name = _resource(name, words.IN_USE, words.OTHER_IN_USE)
        case "pool_waiting":
            said, name = _resource(name, words.WAITING, words.OTHER_WAITING)
        case kind:
            said = words.ROWS.get(kind, words.OTHER_IN_USE)
    shown = say(said, of=plain(name.removeprefix(_LOOP), _NAME)).strip()
    if series.kind == "pool_in_use" and series.limit is not None:
        shown = say(words.OF_LIMIT, title=shown, limit=figure(series.limit))
    return shown


def _resource(name: str, known: Mapping[str, Said], other: Said) -> tuple[Said, str]:
    """Return what to say of a kind of resource, and which of them it is."""
    if name.startswith(names.THREADPOOL):
        return known[names.THREADPOOL], name.removeprefix(names.THREADPOOL).strip()
    kind, _, which = name.partition(":")
    return (known[kind], which) if kind in known else (other, name)


def value_words(kind: str, value: float) -> str:
    """Return a value of a series with its unit."""
    match kind:
        case "stalled":
            return percent(value)
        case "memory":
            return size(value)
        case "timeouts" | "llm_errors":
            return f"{figure(value)}/s"
        case _:
            return figure(value)


def titles(rows: Sequence[Track], say: Say) -> Data:
    """Return the titles with the largest value of each row."""
    return [
        {
            "y": row.top + TITLE_HEIGHT / 2,
            "title": row.title,
            "peak": say(words.PEAK, most=value_words(row.series.kind, row.most)),
        }
        for row in rows
    ]


def shapes(rows: Sequence[Track], timeline: Timeline, clock: Clock) -> Data:
    """Return the points of the steps, a shape for each stretch of time that somebody told of."""
    data: Data = []
    for place, row in enumerate(rows):
        for begin, end in _stretches(row.series, known=True):
            values = [value or 0.0 for value in row.series.values[begin:end]]
            # A step ends where the last bucket does.
            for offset, value in enumerate([*values, values[-1]]):
                at_ms = clock.ms(timeline.edge_ns(begin + offset))
                shape = f"{place}-{begin}"
                data.append(
                    {"t": at_ms, "y": round(row.y(value), 1), "y2": row.ground, "shape": shape,
                     "color": row.color}
                )  # fmt: skip
    return data


def grounds(rows: Sequence[Track], timeline: Timeline, clock: Clock, *, known: bool) -> Data:
    """Return where zero is: while somebody told of it, or while nobody did."""
    return [
        {
            "t": clock.ms(timeline.edge_ns(begin)),
            "t2": clock.ms(timeline.edge_ns(end)),
            "y": row.ground,
        }
        for row in rows
        for begin, end in _stretches(row.series, known=known)
    ]


def limits(rows: Sequence[Track]) -> Data:
    """Return the limits that can be drawn to scale; everybody knows that of a share."""
    drawn = [row for row in rows if row.limit is not None and row.series.kind != "stalled"]
    return [{"y": row.y(row.limit or 0.0)} for row in drawn]


def cells(rows: Sequence[Track], timeline: Timeline, clock: Clock, say: Say) -> Data:
    """Return what can be pointed at: neighbours that say the same are one."""
    data: Data = []
    for row in rows:
        told = [
            say(words.NOT_TOLD) if value is None else value_words(row.series.kind, value)
            for value in row.series.values
        ]
        for begin, end, value in _runs(told):
            begin_ns, end_ns = timeline.edge_ns(begin), timeline.edge_ns(end)
            data.append(
                {
                    "t": clock.ms(begin_ns),
                    "t2": clock.ms(end_ns),
                    "y": row.top,
                    "y2": row.ground,
                    "when": f"{clock.say(begin_ns)} – {clock.say(end_ns)}",
                    "value": value,
                }
            )
    return data


def _stretches(series: Series, *, known: bool) -> Iterator[tuple[int, int]]:
    for begin, end, told in _runs([value is not None for value in series.values]):
        if told is known:
            yield begin, end


def _runs(values: Sequence[Any]) -> Iterator[tuple[int, int, Any]]:
    """Yield `(begin, end, value)` of neighbours that are equal."""
    begin = 0
    for value, run in groupby(values):
        end = begin + sum(1 for _ in run)
        yield begin, end, value
        begin = end
