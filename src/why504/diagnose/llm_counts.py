"""Counting LLM calls: each trace for as many as it stands for. Pure; called by llm.py."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import numpy as np

from why504.diagnose.llm_calls import NOT_SENT, OPEN, OUTCOMES, Call, Pause
from why504.diagnose.peers import TOO_MANY_REQUESTS

SPREAD: Final = (0.05, 0.25, 0.5, 0.75, 0.99)
"""Shares of calls of which `Figures.spread_s` tells how long they took at most."""
_GROUPS: Final = 50
_REASONS: Final = 12


@dataclass(frozen=True, slots=True)
class Figures:
    """Of some calls, how many fared how; counts of a sample are estimates."""

    calls: int
    outcomes: Mapping[str, int]
    """Every one of `llm_calls.OUTCOMES` -> calls."""
    attempts: int
    refused: int
    """Attempts that were answered 429."""
    retries: int
    """Attempts after one that failed."""
    fallbacks: int
    """Calls that a fallback answered."""
    unbounded: int
    """Calls whose client had no limit ..."""
    limits_told: int
    """... of those of which it is known whether it had one."""
    input_tokens: int
    output_tokens: int
    tokens_told: int
    """Calls that told how many tokens they took."""
    spread_s: Sequence[float]
    """Seconds that calls took which ended, sent ones only, one for each of `SPREAD`; or none."""
    first_s: float | None
    """Median of the seconds to the first piece of an answer; None where nobody told."""

    @property
    def median_s(self) -> float | None:
        """Return the seconds in which half of the calls ended; None where none did."""
        return self.spread_s[2] if self.spread_s else None

    @property
    def p99_s(self) -> float | None:
        """Return the seconds in which 99 % of the calls ended; None where none did."""
        return self.spread_s[4] if self.spread_s else None


@dataclass(frozen=True, slots=True)
class Group:
    """The calls of one model, or of one route."""

    provider: str
    """Empty for a route, or where it is not told; these three are strangers' text."""
    model: str
    route: str
    """Empty for a model."""
    figures: Figures


@dataclass(frozen=True, slots=True)
class Pauses:
    """The pauses between attempts at one model."""

    provider: str
    model: str
    pauses: int
    refused: int
    """Pauses after an attempt that was answered 429."""
    asked: int
    """Pauses of which it is told for how long the peer asked to wait."""
    asked_s: float | None
    """Median; None where nobody asked, or nobody told."""
    asked_most_s: float | None
    waited_s: float
    """Median."""
    waited_most_s: float
    early: int
    """Attempts that came sooner than was asked."""
    not_retried: int
    """Pauses after which no other attempt was seen."""


class Counting:
    """Counts, each trace for as many as it stands for."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights

    def _sum(self, calls: Sequence[Call], count: Callable[[Call], float]) -> int:
        if not self._weights:
            return round(sum(map(count, calls)))
        return round(math.fsum(count(c) * self._weights.get(c.trace_id, 1.0) for c in calls))

    def figures(self, calls: Sequence[Call], others: Sequence[Pause] = ()) -> Figures:
        """Count calls, and pauses of clients whose attempts are not told."""
        by_outcome = defaultdict(list)
        for call in calls:
            by_outcome[call.outcome].append(call)
        ended = [call for call in calls if call.outcome not in (OPEN, NOT_SENT)]
        firsts = [call for call in calls if call.first_s is not None]
        first_s = self._quantiles(firsts, [call.first_s or 0.0 for call in firsts], (0.5,))
        refused = [pause for pause in others if pause.status == TOO_MANY_REQUESTS]
        again = [pause for pause in others if pause.retried]
        return Figures(
            calls=self._sum(calls, lambda _: 1),
            outcomes={one: self._sum(by_outcome[one], lambda _: 1) for one in OUTCOMES},
            attempts=self._sum(calls, attrgetter("attempts")) + self._many(again),
            refused=self._sum(calls, attrgetter("refused")) + self._many(refused),
            retries=self._sum(calls, attrgetter("retries")) + self._many(again),
            fallbacks=self._sum(calls, attrgetter("fallback")),
            unbounded=self._sum(calls, lambda call: call.bounded is False),
            limits_told=self._sum(calls, lambda call: call.bounded is not None),
            input_tokens=self._sum(calls, lambda call: call.input_tokens or 0),
            output_tokens=self._sum(calls, lambda call: call.output_tokens or 0),
            tokens_told=self._sum(
                calls, lambda c: c.input_tokens is not None or c.output_tokens is not None
            ),
            spread_s=self._quantiles(ended, [(c.end_ns - c.start_ns) / 1e9 for c in ended], SPREAD),
            first_s=first_s[0] if first_s else None,
        )

    def _many(self, pauses: Sequence[Pause]) -> int:
        return round(math.fsum(self._weights.get(pause.trace_id, 1.0) for pause in pauses))

    def _quantiles(
        self, whose: Sequence[Call | Pause], values: Sequence[float], shares: Sequence[float]
    ) -> tuple[float, ...]:
        """Return for each share the least value that so many do not exceed; none without any."""
        if not values:
            return ()
        told = np.asarray(values)
        order = np.argsort(told)
        weights = np.asarray([self._weights.get(one.trace_id, 1.0) for one in whose])[order]
        upto = np.cumsum(weights)
        # Sums of weights are a little off: the least of what is enough, not the next one.
        wanted = np.asarray(shares) * upto[-1] * (1 - 1e-12)
        places = np.searchsorted(upto, wanted).clip(max=len(told) - 1)
        return tuple(told[order][places].tolist())

    def groups(
        self, calls: Sequence[Call], key: Callable[[Call], tuple[str, str, str]]
    ) -> list[Group]:
        """Count the calls of each provider, model and route that `key` tells apart."""
        alike: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
        for call in calls:
            alike[key(call)].append(call)
        most = sorted(alike, key=lambda one: (-self._sum(alike[one], lambda _: 1), one))
        return [Group(*one, self.figures(alike[one])) for one in most[:_GROUPS]]

    def reasons(self, calls: Sequence[Call]) -> list[tuple[str, int]]:
        """Count calls by why they failed."""
        counts: dict[str, float] = defaultdict(float)
        for call in calls:
            if call.reason:
                counts[call.reason] += self._weights.get(call.trace_id, 1.0)
        most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [(reason, round(many)) for reason, many in most[:_REASONS]]

    def pauses(self, calls: Sequence[Call], others: Sequence[tuple[str, Pause]]) -> list[Pauses]:
        """Compare, for each model, what was asked to wait with what was waited."""
        alike: dict[tuple[str, str], list[Pause]] = defaultdict(list)
        for call in calls:
            if call.pauses:
                alike[call.provider, call.model] += call.pauses
        for peer, pause in others:
            alike[peer, ""].append(pause)
        most = sorted(alike, key=lambda one: (-self._many(alike[one]), one))
        return [self._pauses(*one, alike[one]) for one in most[:_GROUPS]]

    def _pauses(self, provider: str, model: str, pauses: Sequence[Pause]) -> Pauses:
        asked = [pause for pause in pauses if pause.asked_s is not None]
        asked_s = [pause.asked_s or 0.0 for pause in asked]
        waited_s = [max(0, pause.end_ns - pause.start_ns) / 1e9 for pause in pauses]
        early = [p for p, s in zip(pauses, waited_s, strict=True)
                 if p.retried and p.asked_s is not None and s < p.asked_s]  # fmt: skip
        return Pauses(
            provider,
            model,
            pauses=self._many(pauses),
            refused=self._many([p for p in pauses if p.status == TOO_MANY_REQUESTS]),
            asked=self._many(asked),
            asked_s=self._quantiles(asked, asked_s, (0.5,))[0] if asked else None,
            asked_most_s=max(asked_s) if asked else None,
            waited_s=self._quantiles(pauses, waited_s, (0.5,))[0],
            waited_most_s=max(waited_s),
            early=self._many(early),
            not_retried=self._many([p for p in pauses if not p.retried]),
        )
