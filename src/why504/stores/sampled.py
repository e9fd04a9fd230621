"""A sampled reading: which rows of a large window are read, and for how many they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np

from why504.diagnose.steps import Presence
from why504.model import Evidence, Sample, Window
from why504.stores import columns
from why504.stores.records import Row, evidence
from why504.stores.sampling import (
    HOLDERS,
    USUAL,
    USUAL_FOR_NS,
    Candidates,
    Codes,
    Floats,
    Intervals,
    Lots,
    bursts,
    calibrated,
    drawn,
    holders_by_lot,
    victims_by_lot,
)

_AROUND_NS: Final = 60 * 10**9
"""A clock that is off by less hides nothing."""
_BEGAN_BEFORE_NS: Final = 600 * 10**9
"""A request may have begun this much before it waited or held."""
_TRACE: Final = len(Row._fields)
"""Place of a trace's hash in a row, after the columns of evidence."""


class Query(Protocol):
    """Runs SQL over all segments."""

    def __call__(self, sql: str, **values: Any) -> Any:
        """Return what was found."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Reads a sample through queries that give numpy columns, or rows."""

    columns: Query
    rows: Callable[..., list[Any]]

    def evidence(self, window: Window, slower_than_s: float | None) -> Evidence:
        """Return the evidence of what was chosen; without incidents nothing is."""
        found = self._candidates(window, slower_than_s)
        windows = bursts(found)
        if not windows:
            requests = self.columns(columns.REQUESTS, **_bounds(window))["number"][0]
            return Evidence(window, sample=Sample({}, {}, int(requests)))
        heard = dict(self.rows(columns.HEARD))
        lots = [Lots(one) for one in windows]
        kinds = list(victims_by_lot(found, lots))
        present = [self._others(one, HOLDERS / len(lots), heard) for one in lots]
        chosen, stands_for = drawn(lots)
        rows = self._chosen(lots, chosen)
        weights = _by_trace(rows, chosen, calibrated(kinds, chosen, stands_for))
        told = evidence([row[:_TRACE] for row in rows], window, heard)
        return replace(told, sample=Sample(weights, _joined(present), len(found.trace)))

    def _candidates(self, window: Window, slower_than_s: float | None) -> Candidates:
        if slower_than_s is None:
            return Candidates(**self._within(columns.TIMED_OUT, window))
        slow_ns = int(slower_than_s * 1e9)
        return Candidates(**self._within(columns.TOOK_LONG, window, slow_ns=slow_ns))

    def _others(self, lots: Lots, most: float, heard: Mapping[str, int]) -> dict[str, Presence]:
        """Give those their chance whom victims of a burst waited for, and who tell the usual.

        Returns how many held each resource when, by its key.
        """
        around = _around(lots.burst)
        told = {"instances": list(heard), "heard_ns": list(heard.values())}
        records = Intervals(**self._within(columns.INTERVALS, around, **told))
        present = holders_by_lot(records, most, lots)
        owners = self._within(columns.LOCK_OWNERS, around)
        lots.give(owners["trace"], np.ones(len(owners["trace"])), owners["start_ns"])
        before = Window(lots.burst.start_ns - USUAL_FOR_NS, lots.burst.start_ns)
        usual = self._within(columns.USUAL, before)
        chance = np.full(len(usual["trace"]), USUAL / max(USUAL, len(usual["trace"])))
        lots.give(usual["trace"], chance, usual["start_ns"])
        # What is open was told before it is known to have ended, maybe before the burst.
        first_ns = int(records.start_ns.min(initial=around.start_ns))
        named = self._within(columns.RESOURCES, Window(first_ns, around.end_ns))
        keys = zip(named["code"].tolist(), named["resource"], strict=True)
        return {key: present[code] for code, key in keys if code in present}

    def _chosen(self, lots: Sequence[Lots], chosen: Codes) -> list[Any]:
        """Return the rows of chosen traces and what is always read; some may come twice."""
        sql, traces = columns.chosen_rows(", ".join(Row._fields)), chosen.tolist()
        rows: list[Any] = []
        for window in _stretches(lots):
            rows += self.rows(sql, **_bounds(window), chosen=traces)
        for lot in lots:
            sql = columns.deciding_rows(", ".join(Row._fields))
            rows += self.rows(sql, **_bounds(_around(lot.burst)))
        return rows

    def _within(self, sql: str, window: Window, **values: Any) -> Mapping[str, Any]:
        return dict(self.columns(sql, **_bounds(window), **values))


def _bounds(window: Window) -> dict[str, int]:
    return {"start_ns": window.start_ns, "end_ns": window.end_ns}


def _around(burst: Window) -> Window:
    return Window(burst.start_ns - _AROUND_NS, burst.end_ns + _AROUND_NS)


def _stretches(lots: Sequence[Lots]) -> list[Window]:
    """Return when anything went on that was drawn; disjoint, and calm hours are not among it."""
    found: list[Window] = []
    for lot in sorted(lots, key=lambda lot: lot.since_ns):
        start_ns, end_ns = lot.since_ns - _BEGAN_BEFORE_NS, _around(lot.burst).end_ns
        if found and start_ns <= found[-1].end_ns:
            before = found.pop()
            start_ns, end_ns = before.start_ns, max(before.end_ns, end_ns)
        found.append(Window(start_ns, end_ns))
    return found


def _joined(present: Sequence[Mapping[str, Presence]]) -> dict[str, Presence]:
    """Return who held what when by resource key, of bursts one after another."""
    return {
        key: Presence.joined([one[key] for one in present if key in one])
        for key in {key for one in present for key in one}
    }


def _by_trace(rows: Sequence[Any], chosen: Codes, stands_for: Floats) -> dict[str, float]:
    many = {
        trace: weight
        for trace, weight in zip(chosen.tolist(), stands_for.tolist(), strict=True)
        if weight != 1.0
    }
    return {row[0].hex(): many[row[_TRACE]] for row in rows if row[_TRACE] in many}
