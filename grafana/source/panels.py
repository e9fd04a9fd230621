"""What a dashboard is made of, as plain values; `drawing.py` turns them into Grafana's own.

In PromQL and TraceQL `<service>` stands for the matcher of the service that was chosen, and
`<family>` for the one of it together with its relay, worker and nightly job.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

SERVICE: Final = 'service_name="$service_name"'
FAMILY: Final = 'service_name=~"$family(-relay|-worker|-nightly)?"'
MOST_SERIES: Final = 12
"""Of a `topk`: more lines than these nobody can tell apart."""


class Kind(Enum):
    """How a panel is drawn."""

    STAT = "one figure"
    NAMES = "the names of what is above 0"
    GRAPH = "lines"
    STACK = "areas on top of each other"
    BARS = "a bar each"
    ROWS = "a table of samples"
    TRACES = "a table of traces out of Tempo"
    SPANS = "a table of spans out of Tempo"
    TRACE_RATE = "lines out of Tempo"

    @property
    def of_tempo(self) -> bool:
        """Return whether Tempo is asked, and not Prometheus."""
        return self in (Kind.TRACES, Kind.SPANS, Kind.TRACE_RATE)

    @property
    def instant(self) -> bool:
        """Return whether only the last moment is asked for."""
        return self in (Kind.NAMES, Kind.BARS, Kind.ROWS)


@dataclass(frozen=True, slots=True)
class Query:
    """One question to the data source: PromQL or TraceQL."""

    text: str
    legend: str = ""
    exemplars: bool = False
    """Whether points lead to traces: for buckets of histograms that have them."""

    @property
    def asked(self) -> str:
        """Return it as Grafana gets it."""
        return self.text.replace("<service>", SERVICE).replace("<family>", FAMILY)


@dataclass(frozen=True, slots=True)
class Panel:
    """A question with its answer."""

    title: str
    kind: Kind
    unit: str
    """An id of Grafana's units."""
    normal: str
    """What one sees while all is well."""
    todo: str
    """What to do if one sees something else."""
    queries: tuple[Query, ...]
    alert: str = ""
    """Whose number colours it: a row of `limits.LIMITS`."""
    width: int = 8
    height: int = 8
    words: dict[str, str] = field(default_factory=dict)
    """Names of series or values of a stat -> what is shown instead."""
    leads_to: str = ""
    """The uid of the dashboard that tells more."""
    nothing: str = "nothing"
    """What is shown where there is no sample."""


@dataclass(frozen=True, slots=True)
class Section:
    """Panels below a heading; the order is that in which people look."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """A variable that people write into."""

    name: str
    label: str
    value: str
    tells: str


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard; its file is `<uid>.json`."""

    uid: str
    title: str
    question: str
    """What it answers, in a sentence."""
    sections: tuple[Section, ...]
    boxes: tuple[Box, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """(title, address) of what is elsewhere."""
    of_a_service: bool = True
    """Whether one is chosen; what is not of one shows the alerts of all."""


def stat(title: str, unit: str, query: str, **more: Any) -> Panel:
    """Return one figure, the verdict of a glance; `more` are fields of `Panel`."""
    told = {"width": 4, "height": 5, **more}
    return Panel(title=title, kind=Kind.STAT, unit=unit, queries=(Query(query),), **told)


def graph(title: str, unit: str, *queries: Query, **more: Any) -> Panel:
    """Return lines over time; `more` are fields of `Panel`."""
    return Panel(**{"title": title, "kind": Kind.GRAPH, "unit": unit, "queries": queries, **more})


def table(title: str, kind: Kind, query: str, **more: Any) -> Panel:
    """Return rows: of samples, traces or spans; `more` are fields of `Panel`."""
    told = {"width": 24, "height": 9, **more}
    # Without it a limited search of Tempo gives any traces, not the newest.
    asked = f"{query} with (most_recent=true)" if kind.of_tempo else query
    return Panel(title=title, kind=kind, unit="short", queries=(Query(asked),), **told)
