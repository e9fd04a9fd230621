"""Which questions of the dashboards a Prometheus answers with data, and how soon."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from lab.prove.asked import PROMETHEUS, Asked, asked, boards
from lab.stack.prometheus import Prometheus

STEP_S: Final = 10.0
ELSEWHERE: Final = {
    "otelcol_": "of a collector, which does not run here: the service sends to `why504 receive`",
    "tempo_": "of Tempo, which does not run here",
}
"""How metrics begin of which nobody tells in the lab -> why. A query of these alone is left out."""


@dataclass(slots=True)
class Answers:
    """What came back."""

    number: int = 0
    """Of questions."""
    empty: list[Asked] = field(default_factory=list)
    """Without a sample that is a number."""
    refused: dict[str, str] = field(default_factory=dict)
    """Where -> why it was no question."""
    took_ms: list[tuple[str, float]] = field(default_factory=list)
    """(where, ms) of each that was answered."""

    @property
    def p95_ms(self) -> float:
        """Return the 95th percentile of how long they took, NaN without any."""
        took_ms = sorted(ms for _, ms in self.took_ms)
        return round(took_ms[int(0.95 * (len(took_ms) - 1))], 1) if took_ms else math.nan

    @property
    def told(self) -> int:
        """How many were answered with data."""
        return self.number - len(self.empty) - len(self.refused)


def questions(given: Mapping[str, str]) -> tuple[list[Asked], list[Asked]]:
    """Return what all dashboards ask Prometheus, with these values of their variables.

    Returns:
        (what the lab can answer, what it can't: see ELSEWHERE).
    """
    told = (one for board in boards() for one in asked(board, given))
    here: list[Asked] = []
    elsewhere: list[Asked] = []
    for one in told:
        if one.source == PROMETHEUS:
            (elsewhere if _is_elsewhere(one.text) else here).append(one)
    return here, elsewhere


def ask(prometheus: Prometheus, asked_: Sequence[Asked], start_s: float, end_s: float) -> Answers:
    """Ask all of them about a time, in Unix seconds; those of a moment about its end."""
    answers = Answers(len(asked_))
    for one in asked_:
        began_s = time.perf_counter()
        try:
            # As a range, too: an instant query is answered as of now only.
            start_of_it_s = end_s if one.instant else start_s
            series = prometheus.query_range(one.text, start_of_it_s, end_s, STEP_S)
        except httpx.HTTPError as error:
            answers.refused[one.where] = str(error)
            continue
        took_ms = 1000 * (time.perf_counter() - began_s)
        answers.took_ms.append((one.where, round(took_ms, 1)))
        if not any(_is_number(value) for each in series for value in each["values"]):
            answers.empty.append(one)
    return answers


def fired(prometheus: Prometheus, start_s: float, end_s: float) -> dict[str, float]:
    """Return which alerts fired -> since when, in Unix seconds; the first one first."""
    expression = 'sum by (alertname) (ALERTS{alertstate="firing",severity=~"p0|p1|p2"})'
    series = prometheus.query_range(expression, start_s, end_s, 1.0)
    began = {one["metric"]["alertname"]: float(one["values"][0][0]) for one in series}
    return dict(sorted(began.items(), key=lambda pair: pair[1]))


def _is_elsewhere(text: str) -> bool:
    # With `or` another metric answers in its place.
    return " or " not in text and any(f"({begins}" in text for begins in ELSEWHERE)


def _is_number(value: Sequence[Any]) -> bool:
    """Return whether a point is drawn: Grafana leaves out what is none."""
    return not math.isnan(float(value[1]))
