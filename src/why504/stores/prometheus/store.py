"""Metrics of a window, or of this moment, out of Prometheus. Whatever fails is told, never raised.

An explanation rests on spans; metrics count what spans may lack. So a server that is down, slow or
without a metric costs a sentence, and at most twenty seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple

from why504.errors import StoreUnavailable
from why504.measured import Measured, Track
from why504.model import Window
from why504.stores.access import PrometheusSettings
from why504.stores.prometheus import queries
from why504.stores.prometheus.client import LONGEST_S, Answer, Client, Line
from why504.stores.prometheus.queries import Row

_SECOND_NS: Final = 10**9
_SHORTEST_STEP_S: Final = 5.0
_MOST_COUNTED: Final = 10_000
"""Moments of a counter: Prometheus refuses more than 11,000."""
_MOST_SHOWN: Final = 240
"""Moments of a gauge: about one a pixel of a phone."""
_AROUND_S: Final = 60.0
"""A counter is read for this much longer before and after: it is scraped now and then only."""


class _Asked(NamedTuple):
    row: Row
    ask: Callable[[float], Answer]
    """Takes until when to wait, by the client's clock."""


class Prometheus:
    """Metrics of one server; may be used by threads."""

    def __init__(
        self,
        client: Client,
        settings: PrometheusSettings,
        *,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._client = client
        self._match = settings.match.strip()
        self._parallel = settings.parallel
        self._now_ns = now_ns

    @property
    def source(self) -> str:
        """What it is called, for people."""
        return f"Prometheus at {self._client.name}"

    def counted(self, window: Window) -> Measured:
        """Return the gateways' 504s of a window, as finely as they can be told: one question."""
        span_s = self._span_s(window, _AROUND_S)
        step_s = _step_s(span_s, _MOST_COUNTED)
        query = queries.counter(queries.TIMEOUTS, self._match)
        ask = partial(self._client.during, query, span_s, step_s)
        told = self._asked([_Asked(queries.TIMEOUTS, ask)], step_s)
        if told.tracks or told.problems:
            return told
        problem = (
            f"{self.source} has no {queries.TIMEOUTS.metric} of this time: how many timed out is "
            "known from spans only (is `why504 watch`, or `receive`, scraped, and does "
            "WHY504_PROMETHEUS_MATCH fit?)"
        )
        return Measured(told.source, step_s, (), (problem,))

    def over(self, window: Window, counted: Measured) -> Measured:
        """Return what was `counted`, with all gauges: each at its highest of each step."""
        span_s = self._span_s(window, 0.0)
        step_s = max(3 * _SHORTEST_STEP_S, _step_s(span_s, _MOST_SHOWN))
        asked = [
            _Asked(row, partial(self._client.during, query, span_s, step_s))
            for row, query in [
                *((row, queries.over_time(row, self._match, step_s)) for row in queries.GAUGES),
                (queries.CORES, queries.rate(queries.CORES, self._match, step_s)),
            ]
        ]
        # Where the first question was in vain, the others would be waited for in vain.
        told = self._asked([] if counted.problems and not counted.tracks else asked, step_s)
        problems = dict.fromkeys([*counted.problems, *told.problems])
        tracks = [*counted.tracks, *told.tracks]
        return Measured(self.source, counted.step_s, tracks, tuple(problems))

    def now(self) -> Measured:
        """Return what gauges tell at this moment; their age is that of the latest scrape."""
        now_s = self._now_ns() / 1e9
        asked = [
            _Asked(row, partial(self._client.at, queries.this_moment(row, self._match), now_s))
            for row in (*queries.GAUGES, queries.SCRAPED)
            if row.now
        ]
        return self._asked(asked, 0.0)

    def _asked(self, asked: Sequence[_Asked], step_s: float) -> Measured:
        """Ask several questions at once; what fails is a problem and hides nothing else."""
        until_s = self._client.clock() + LONGEST_S
        tracks: list[Track] = []
        problems: dict[str, None] = {}
        with ThreadPoolExecutor(self._parallel) as pool:
            answers = pool.map(lambda one: _outcome(one, until_s), asked)
            for one, (answer, problem) in zip(asked, answers, strict=True):
                tracks += [track for line in answer.lines for track in _track(one.row, line)]
                if problem:
                    problems[problem] = None
                if answer.partial:
                    problems[f"{self.source} answers in part ({answer.partial})"] = None
        return Measured(self.source, step_s, tracks, tuple(problems))

    def _span_s(self, window: Window, around_s: float) -> tuple[float, float]:
        """Return the bounds of a window in Unix seconds; what is to come nobody can tell."""
        start_s = window.start_ns / _SECOND_NS - around_s
        end_s = min(window.end_ns / _SECOND_NS + around_s, self._now_ns() / _SECOND_NS)
        return start_s, max(end_s, start_s)


def _outcome(asked: _Asked, until_s: float) -> tuple[Answer, str]:
    try:
        return asked.ask(until_s), ""
    except StoreUnavailable as error:
        return Answer((), ""), str(error)


def _step_s(span_s: tuple[float, float], most: int) -> float:
    return max(_SHORTEST_STEP_S, (span_s[1] - span_s[0]) / most)


def _track(row: Row, line: Line) -> list[Track]:
    """Return the track of a series; none where nothing but NaN was told."""
    if not line.at_s:
        return []
    labels = line.labels
    shared = "instance" not in row.by
    return [
        Track(
            kind=row.kind,
            name=row.name_of(labels),
            service=labels.get("service_name") or labels.get("job", ""),
            instance="" if shared else labels.get("instance", ""),
            at_ns=[round(at_s * _SECOND_NS) for at_s in line.at_s],
            values=line.values,
        )
    ]


def prometheus(address: str, settings: PrometheusSettings, **how: Any) -> Prometheus:
    """Return the metrics at an address; `how` is passed on to `Client`.

    Raises:
        ConfigError: the address or a setting makes no sense.
    """
    return Prometheus(Client(address, settings, **how), settings)
