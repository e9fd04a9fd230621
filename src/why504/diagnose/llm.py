"""How LLMs were used: calls, refusals, retries, fallbacks, tokens and times.

Pure: evidence in, numbers out. Which spans are a call: llm_spans.py; what became of it:
llm_calls.py; how calls are counted: llm_counts.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from why504.diagnose.llm_calls import OUTCOMES, Call, Pause, calls_of, pauses_told
from why504.diagnose.llm_counts import Counting, Figures, Group, Pauses
from why504.model import Evidence, Window

_BUCKETS: Final = 60
_LENGTHS_S: Final = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 14_400, 21_600, 43_200, 86_400),
)
"""Lengths of a bucket; of more time, multiples of the last."""
_SLOWEST: Final = 50


@dataclass(frozen=True, slots=True)
class LlmUse:
    """Everything that is counted of one stretch of time."""

    focus: Window
    """What the figures are of: calls that went on in it."""
    window: Window
    """What the buckets are of."""
    bucket_ns: int
    whole: Figures
    models: Sequence[Group]
    """Most calls first, at most 50; so are routes."""
    routes: Sequence[Group]
    reasons: Sequence[tuple[str, int]]
    """Why calls failed: HTTP status or error -> calls, most first, at most 12."""
    pauses: Sequence[Pauses]
    """Most pauses first, at most 50."""
    slowest: Sequence[Call]
    """Longest first, at most 50."""
    begun: Mapping[str, Sequence[float]]
    """Every one of `llm_calls.OUTCOMES` -> calls that began, a bucket each."""
    sampled: bool
    """Whether counts are estimates from a sample."""


def llm_use(evidence: Evidence, focus: Window | None = None) -> LlmUse:
    """Return how LLMs were used.

    Args:
        evidence: its window is what the buckets cover.
        focus: what the figures are of; the evidence's window by default.
    """
    weights = evidence.sample.stands_for if evidence.sample else {}
    focus = focus or evidence.window
    calls = calls_of(evidence)
    inside = [call for call in calls if _overlaps(call, focus)]
    others = [(peer, p) for peer, p in pauses_told(evidence, calls) if _overlaps(p, focus)]
    counting = Counting(weights)
    whole = counting.figures(inside, [pause for _, pause in others])
    bucket_ns = _bucket_ns(evidence.window)
    return LlmUse(
        focus=focus,
        window=evidence.window,
        bucket_ns=bucket_ns,
        whole=whole,
        models=counting.groups(inside, lambda call: (call.provider, call.model, "")),
        routes=counting.groups(inside, lambda call: ("", "", call.route)),
        reasons=counting.reasons(inside),
        pauses=counting.pauses(inside, others),
        slowest=sorted(inside, key=lambda call: call.start_ns - call.end_ns)[:_SLOWEST],
        begun=_begun(calls, weights, evidence.window, bucket_ns),
        sampled=evidence.sample is not None,
    )


def _overlaps(one: Call | Pause, window: Window) -> bool:
    return one.start_ns < window.end_ns and one.end_ns >= window.start_ns


def _bucket_ns(window: Window) -> int:
    """Return a length of which at most 60 cover the window."""
    least_s = max(1.0, (window.end_ns - window.start_ns) / 1e9 / _BUCKETS)
    length_s = next((n for n in _LENGTHS_S if n >= least_s), 0)
    return (length_s or math.ceil(least_s / _LENGTHS_S[-1]) * _LENGTHS_S[-1]) * 10**9


def _begun(
    calls: Sequence[Call], weights: Mapping[str, float], window: Window, bucket_ns: int
) -> dict[str, list[float]]:
    """Count the calls that began in each bucket, by outcome."""
    buckets = max(1, -(-(window.end_ns - window.start_ns) // bucket_ns))
    begun = {}
    for outcome in OUTCOMES:
        mine = [call for call in calls if call.outcome == outcome]
        place = np.asarray([(c.start_ns - window.start_ns) // bucket_ns for c in mine], np.int64)
        many = np.asarray([weights.get(call.trace_id, 1.0) for call in mine])
        kept = (place >= 0) & (place < buckets)
        counts = np.bincount(place[kept], weights=many[kept], minlength=buckets)
        begun[outcome] = counts.tolist()
    return begun
