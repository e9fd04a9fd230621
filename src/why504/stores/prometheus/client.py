"""Asks Prometheus' HTTP API, which Mimir and Thanos have too.

What servers do was recorded from Prometheus 3.12: errors are JSON with a sentence in it, 422 is a
query that can't be executed (Mimir's limits too), 503 one that took too long there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from why504.stores.access import PrometheusSettings
from why504.stores.http import HttpClient, Server, first_line

LONGEST_S: Final = 20.0
"""All questions for one answer together: an explanation does not need them."""
MOST_SERIES: Final = 500
"""Of one question."""


def said(body: bytes) -> str:
    """Return what an error says: its sentence, else the first line."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return first_line(body)
    if isinstance(told, dict) and isinstance(told.get("error"), str):
        return first_line(told["error"].encode("utf-8", "replace"))
    return first_line(body)


SERVER: Final = Server(
    name="Prometheus",
    api="Prometheus API",
    shorter="ask for a shorter time (--from, --to)",
    said=said,
    # A query that took too long there would take as long again.
    final=frozenset({503}),
)


class Line(NamedTuple):
    """One series of an answer."""

    labels: Mapping[str, str]
    at_s: Sequence[float]
    """Unix seconds, in order."""
    values: Sequence[float]
    """Finite: what is NaN was not told."""


class Answer(NamedTuple):
    """What a query gave."""

    lines: Sequence[Line]
    partial: str
    """Why some of it is missing, as the server says; empty where nothing is."""


class Client(HttpClient):
    """Asks one Prometheus; may be used by several threads.

    Args:
        address: `http(s)://host:9090`, with a path before `/api` where there is one.
        settings: who asks.
        how: `transport`, `clock` and `sleep` of `HttpClient`.
    """

    def __init__(self, address: str, settings: PrometheusSettings, **how: Any) -> None:
        super().__init__(address, settings, SERVER, **how)
        self.settings = settings

    def during(
        self, query: str, span_s: tuple[float, float], step_s: float, until_s: float
    ) -> Answer:
        """Return what a query gave every `step_s`, from and to Unix seconds.

        Raises:
            StoreUnavailable: Prometheus can't be read now.
        """
        start_s, end_s = span_s
        told = {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:.3f}"}
        return self._answer("api/v1/query_range", {"query": query, **told}, until_s)

    def at(self, query: str, at_s: float, until_s: float) -> Answer:
        """Return what a query gives at Unix seconds; of a range, all there was in it.

        Raises:
            StoreUnavailable: Prometheus can't be read now.
        """
        return self._answer("api/v1/query", {"query": query, "time": f"{at_s:.3f}"}, until_s)

    def _answer(self, path: str, params: Mapping[str, str], until_s: float) -> Answer:
        body = self.json(path, params, until_s)
        try:
            return _decoded(body)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise self.no_api("no series in its JSON") from None


def _decoded(body: Any) -> Answer:
    """Return the answer in a body; raises ValueError, TypeError or KeyError if there is none."""
    told = body["data"]["result"]
    if body["data"]["resultType"] not in ("vector", "matrix") or not isinstance(told, list):
        raise ValueError("no series")
    # A warning says that something is missing; an info only that a query looks odd.
    warnings = [str(one) for one in body.get("warnings") or ()]
    if len(told) > MOST_SERIES:
        warnings.append(f"over {MOST_SERIES} series")
    partial = first_line("; ".join(warnings).encode("utf-8", "replace")) if warnings else ""
    return Answer([_line(one) for one in told[:MOST_SERIES]], partial)


def _line(told: Any) -> Line:
    labels = {str(key): str(value) for key, value in told["metric"].items()}
    samples = told["values"] if "values" in told else [told["value"]] if "value" in told else []
    known = [(float(at_s), float(text)) for at_s, text in samples]
    known = [(at_s, value) for at_s, value in known if math.isfinite(at_s) and math.isfinite(value)]
    return Line(labels, [at_s for at_s, _ in known], [value for _, value in known])
