"""A sampled reading of Tempo: of a large window, which traces are read whole.

Searches tell who timed out, all of them, and who held and waited; chance, weighed as in the
embedded store (stores/sampling.py), says which of them are read. At most some 200 questions for up
to three incidents, however many spans there are, and 40 for each more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from why504.diagnose.blame import resource_key
from why504.diagnose.endings import end_of
from why504.errors import StoreUnavailable
from why504.model import Evidence, Hold, Record, Sample, Window
from why504.stores.records import Row, evidence
from why504.stores.sampling import (
    USUAL_FOR_NS,
    Candidates,
    Codes,
    EvenLots,
    Intervals,
    Lots,
    bursts,
    calibrated,
    drawn,
    holders_by_lot,
)
from why504.stores.tempo import search
from why504.stores.tempo.search import TOLD_WITHIN_NS, Asking, pieces
from why504.stores.tempo.telling import (
    Burst,
    code_of,
    heard,
    inside_of,
    length_ns,
    lock_owners,
    longest,
    overlaps,
    present,
    with_queues,
)

MOST_VICTIMS: Final = 200_000
_MOST_RECORDS: Final = 10_000
"""Of stalls, locks and vitals of a burst."""
_MOST_AT_ONCE: Final = 2_500
"""Holds of a burst; of more, of the brief ones a part stands for all. Waits of a quarter of it."""
_BRIEF_MS: Final = (0, 1_000, 5_000, 30_000)
_MOST_BRIEF: Final = 500
"""Of each half of a burst: the latest, which were all in a stretch of time that ends with it."""
_AROUND_NS: Final = 60 * 10**9
"""A clock that is off by less hides nothing."""
_FEWEST: Final = 24
"""Traces of an incident, however many incidents share them."""
_USUAL: Final = 24
_PIECES: Final = 4


class Sampling:
    """Reads a sample of a window; for one reading.

    Args:
        asking: Tempo.
        most: so many traces are read whole for all incidents of a window, and 24 at least for each.
    """

    def __init__(self, asking: Asking, most: int) -> None:
        self._asking = asking
        self._most = most
        self._ids: dict[int, str] = {}
        """Trace ids by code."""

    def evidence(self, window: Window, slower_than_s: float | None) -> Evidence:
        """Return the evidence of what was chosen; without incidents nothing is.

        Raises:
            StoreUnavailable: Tempo can't be read now, or too many requests timed out.
        """
        victims = self._victims(window, slower_than_s)
        found = self._candidates(victims)
        windows = bursts(found)
        if not windows:
            return Evidence(window, sample=Sample({}, {}, self._requests(window)))
        most = max(_FEWEST, self._most // len(windows))
        bursts_ = [self._told(Lots(one)) for one in windows]
        for burst in bursts_:
            self._choose(burst, found, [r.name for r in victims.values()], most)
        return self._read(bursts_, window, len(victims))

    # --- who timed out ----------------------------------------------------------------------------

    def _victims(self, window: Window, slower_than_s: float | None) -> dict[str, Row]:
        """Return a row of each trace that may be a victim's, the longest it has."""
        queries = search.TIMED_OUT + (() if slower_than_s is None else search.slow(slower_than_s))
        rows: dict[str, Row] = {}
        for query in queries:
            result = self._asking.latest(query, window, MOST_VICTIMS)
            if not result.complete:
                raise StoreUnavailable(
                    f"over {MOST_VICTIMS} requests timed out: ask for a shorter time"
                )
            for trace_id, one in result.traces.items():
                known = [rows[trace_id]] if trace_id in rows else []
                told = [row for row in one.rows if overlaps(row, window)] + known
                if told:
                    rows[trace_id] = max(told, key=length_ns)
        return rows

    def _candidates(self, victims: Mapping[str, Row]) -> Candidates:
        alike = [code_of(f"{row.name} {row.http_status}".encode()) for row in victims.values()]
        return Candidates(
            self._codes(victims),
            np.array(alike, np.uint64),
            np.array([row.start_ns for row in victims.values()], np.int64),
            np.array([row.end_ns for row in victims.values()], np.int64),
        )

    def _requests(self, window: Window) -> int:
        """Return how many requests there were; at least one if there was any."""
        try:
            if number := self._asking.count(search.GATEWAY_REQUESTS, window):
                return number
        except StoreUnavailable:
            pass  # Metrics may be off, or the window too long for them.
        return len(self._asking.any_of(search.REQUESTS, window, 1_000).traces)

    # --- who held what they waited for ------------------------------------------------------------

    def _told(self, lots: Lots) -> Burst:
        """Search for what went on around a burst."""
        around = Window(lots.burst.start_ns - _AROUND_NS, lots.burst.end_ns + _AROUND_NS)
        held = Window(lots.burst.start_ns - TOLD_WITHIN_NS, around.end_ns)
        later = Window(around.start_ns, around.end_ns + TOLD_WITHIN_NS)
        burst = Burst(lots, around)
        burst.told += self._holds(held, burst)
        burst.told += self._spread(search.WAITS, around)
        for query in (search.STALLS, search.SHARED, *search.WATCHED):
            burst.deciding += self._asking.latest(query, held, _MOST_RECORDS).rows
        burst.deciding += self._asking.latest(search.VITALS, later, _MOST_RECORDS).rows
        burst.deciding = with_queues(burst.deciding, self._asking)
        return burst

    def _holds(self, window: Window, burst: Burst) -> list[Row]:
        """Return the holds of a window: all, or if that is too much, brief ones for all alike."""
        query = ""
        for brief_ms in _BRIEF_MS:
            query = search.holds(brief_ms)
            result = self._asking.latest(query, window, _MOST_AT_ONCE)
            if result.complete:
                return result.rows + (self._brief(brief_ms, burst) if brief_ms else [])
        return self._spread(query, window)

    def _brief(self, brief_ms: int, burst: Burst) -> list[Row]:
        """Return some brief holds of a burst, and note for how many each stands.

        The latest of a piece of time are all there were in its last stretch, so that each stands
        for as many as there are such stretches in the piece.
        """
        rows: list[Row] = []
        for piece in pieces(burst.lots.burst, 2):
            found = self._asking.latest(search.brief_holds(brief_ms), piece, _MOST_BRIEF)
            if not found.traces:
                continue
            first_ns = min(one.start_ns for one in found.traces.values())
            known_ns = piece.end_ns - max(first_ns, piece.start_ns)
            whole_ns = piece.end_ns - piece.start_ns
            times = 1.0 if found.complete else max(1.0, whole_ns / max(1, known_ns))
            burst.alike |= dict.fromkeys(found.traces, times)
            rows += found.rows
        return rows

    def _spread(self, query: str, window: Window) -> list[Row]:
        """Return what matches, of each quarter of a window the latest."""
        quarters = pieces(window, _PIECES)
        return [
            row
            for piece in quarters
            for row in self._asking.latest(query, piece, _MOST_AT_ONCE).rows
        ]

    def _choose(self, burst: Burst, found: Candidates, victims: Sequence[str], most: int) -> None:
        """Draw the traces that are read for one burst: about `most`."""
        rows = burst.told + burst.deciding
        told = evidence(rows, burst.window, heard(rows))
        # Whole: a search may have shown an earlier part of what is still open.
        taken = self._take(burst, longest(burst.deciding, most // 3))
        taken += self._take(burst, lock_owners(told)[: most // 10])
        left = most - taken - min(_USUAL, most // 6)
        left += self._usual(burst, set(victims), min(_USUAL, most // 6))
        victims_here = int(inside_of(found, burst.lots.burst).sum())
        records = self._intervals(told, burst.alike)
        holders_here = len(set(records.trace[records.held].tolist()))
        share = min(max(left // 3, left - victims_here), most // 2, holders_here)
        chosen = self._evenly(burst, found, max(left - share, most // 4))
        self._holders(burst, records, chosen, share)

    def _holders(self, burst: Burst, records: Intervals, victims: Codes, share: int) -> None:
        """Draw about so many of those who held what the chosen victims waited for.

        Of victims that are read, somebody has to be read who held them up.
        """
        mine = records.held | np.isin(records.trace, victims)
        if not (mine & ~records.held).any():
            mine = np.ones(len(records.trace), np.bool_)
        resources = len(set(records.resource.tolist()))
        even = EvenLots(burst.lots.burst, one_at_least=resources <= share)
        holders_by_lot(records.those(mine), share, even)
        for traces, chances in zip(even.traces, even.chances, strict=True):
            times = [burst.alike.get(self._ids[code], 1.0) for code in traces.tolist()]
            burst.lots.take(traces, chances / np.array(times, np.float64))

    def _take(self, burst: Burst, trace_ids: Iterable[str]) -> int:
        """Have traces read for certain; return how many."""
        codes = self._codes(dict.fromkeys(trace_ids))
        burst.lots.take(codes, np.ones(len(codes)))
        return len(codes)

    def _usual(self, burst: Burst, wanted: set[str], most: int) -> int:
        """Have requests read from before the burst, those like the victims first.

        Returns how many fewer were found than wanted.
        """
        start_ns = burst.lots.burst.start_ns
        before = Window(start_ns - USUAL_FOR_NS, start_ns)
        chosen: dict[str, None] = {}
        for number, piece in enumerate(pieces(before, 2), 1):
            rows = self._asking.any_of(search.REQUESTS, piece, 25 * most).rows
            rows = [row for row in rows if row.end_ns <= start_ns]
            rows.sort(key=lambda row: (row.name not in wanted, row.trace_id[::-1]))
            for row in rows:
                if len(chosen) < most * number // 2:
                    chosen.setdefault(row.trace_id.hex())
        return most - self._take(burst, chosen)

    def _evenly(self, burst: Burst, found: Candidates, most: int) -> Codes:
        """Have victims read, of each kind evenly over time, and note who is alike; return them."""
        inside = inside_of(found, burst.lots.burst)
        alike = found.alike
        if 2 * len(set(alike[inside].tolist())) > most:
            alike = np.zeros_like(alike)  # Routes that are all different are no kinds.
        kinds = sorted(set(alike[inside].tolist()))
        chosen = [found.trace[:0]]
        for kind in kinds:
            mine = np.flatnonzero(inside & (alike == kind))
            mine = mine[np.argsort(found.end_ns[mine], kind="stable")]
            share = most * len(mine) / int(inside.sum())
            number = min(len(mine), max(min(3, most // len(kinds)), int(share)))
            # The first is always among them: an incident is named after it.
            those = mine[np.arange(number) * len(mine) // number]
            burst.lots.take(found.trace[those], np.full(number, number / len(mine)))
            burst.kinds.append(found.trace[mine])
            chosen.append(found.trace[those])
        return np.concatenate(chosen)

    # --- reading them -----------------------------------------------------------------------------

    def _read(self, all_of: Sequence[Burst], window: Window, requests: int) -> Evidence:
        chosen, stands_for = drawn([burst.lots for burst in all_of])
        kinds = [kind for burst in all_of for kind in burst.kinds]
        weights = calibrated(kinds, chosen, stands_for)
        rows = self._asking.traces(self._ids[code] for code in chosen.tolist())
        told = [row for burst in all_of for row in burst.told]
        read = {row.trace_id for row in rows}
        rows += [row for burst in all_of for row in burst.deciding if row.trace_id not in read]
        heard_ns = heard([*rows, *told])
        whole = evidence([*rows, *told], window, heard_ns)
        by_trace = {
            self._ids[code]: weight
            for code, weight in zip(chosen.tolist(), weights.tolist(), strict=True)
            if weight != 1.0
        }
        sample = Sample(by_trace, present(whole), requests)
        return replace(evidence(rows, window, heard_ns), sample=sample)

    def _codes(self, trace_ids: Iterable[str]) -> Codes:
        codes: list[int] = []
        for trace_id in trace_ids:
            codes.append(code_of(bytes.fromhex(trace_id)))
            self._ids[codes[-1]] = trace_id
        return np.array(codes, np.uint64)

    def _intervals(self, told: Evidence, alike: Mapping[str, float]) -> Intervals:
        records: list[Record] = [*told.waits, *told.holds]
        return Intervals(
            self._codes(record.trace_id for record in records),
            np.array([isinstance(record, Hold) for record in records], bool),
            np.array([code_of(resource_key(record).encode()) for record in records], np.uint64),
            np.array([record.start_ns for record in records], np.int64),
            np.array([end_of(record, told.heard_ns) for record in records], np.int64),
            np.array([alike.get(record.trace_id, 1.0) for record in records], np.float64),
        )
