"""Evidence from Tempo: a small window whole, a large one as a sample, a trace by its id."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from why504.errors import StoreUnavailable
from why504.model import Evidence, Window
from why504.stores.access import TempoSettings
from why504.stores.base import Newest
from why504.stores.records import Row, evidence
from why504.stores.tempo import search
from why504.stores.tempo.client import Client
from why504.stores.tempo.newest import Latest
from why504.stores.tempo.sampled import Sampling
from why504.stores.tempo.search import TOLD_WITHIN_NS, Asking, Result
from why504.stores.tempo.telling import heard, with_queues

log = logging.getLogger(__name__)

MOST_WHOLE: Final = 2_000
"""Traces that a window may have which is asked for whole."""
_SECOND_NS: Final = 10**9
_MOST_RECORDS: Final = 20_000
_PARTS: Final = 256
"""The oldest span is known to this part of the time that is looked back on."""
_EXTENT_FOR_S: Final = 5.0
_OLDEST_FOR_S: Final = 600.0


class TempoStore:
    """An `EvidenceStore` on Grafana Tempo; may be used by threads."""

    def __init__(
        self, client: Client, settings: TempoSettings, *, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._client = client
        self._settings = settings
        self._now_ns = now_ns
        self._extent: tuple[float, Window | None] | None = None
        self._oldest: tuple[float, int] | None = None
        self._guard = threading.Lock()

    def version(self) -> None:
        """Return that it is not known whether anything new can be found."""

    def extent(self) -> Window | None:
        """Return the time covered by what can be found, at most `lookback`; known for seconds.

        Raises:
            StoreUnavailable: Tempo can't be read now.
        """
        with self._guard:
            now_s = self._client.clock()
            if self._extent is None or now_s - self._extent[0] > _EXTENT_FOR_S:
                self._extent = now_s, self._covered(Asking(self._client, self._now_ns()), now_s)
            return self._extent[1]

    def evidence(self, window: Window) -> Evidence:
        """Return everything that overlaps `window`, with the whole traces of it, by start.

        Raises:
            StoreUnavailable: Tempo can't be read now, or the window has over 2,000 traces.
        """
        asking = Asking(self._client, self._now_ns())
        found = asking.latest(search.EVERYTHING, window, 10 * MOST_WHOLE)
        whole = self._whole(asking, window, found, MOST_WHOLE) if found.complete else None
        if whole is None:
            raise StoreUnavailable(
                f"over {MOST_WHOLE} traces in this time, which are not read one by one: ask for a "
                "shorter time (--from, --to), or for its incidents instead of one trace"
            )
        return self._told(whole, asking)

    def sample(self, window: Window, *, slower_than_s: float | None = None) -> Evidence:
        """Return what explains the incidents of `window`: all of it, or if that is much, a part.

        Of a window with more than twice the `traces` of the settings, those are chosen that tell
        most, by chance among those alike, and the rest is counted (sampled.py).

        Args:
            window: in which incidents are looked for.
            slower_than_s: which requests are of interest besides those that timed out.

        Raises:
            StoreUnavailable: Tempo can't be read now.
        """
        asking, most = Asking(self._client, self._now_ns()), self._settings.traces
        # A little more is read whole: only of a whole can be said what would have helped.
        found = asking.any_of(search.EVERYTHING, window, 8 * most)
        whole = self._whole(asking, window, found, 2 * most) if found.complete else None
        if whole is None:
            whole = Sampling(asking, most).evidence(window, slower_than_s)
        return self._told(whole, asking)

    def trace(self, trace_id: str) -> Evidence:
        """Return everything known of one trace (32 hex digits); empty when it is unknown.

        Raises:
            StoreUnavailable: Tempo can't be read now.
        """
        if not re.fullmatch("[0-9a-f]{32}", trace_id):
            return Evidence(Window(0, 0))
        asking = Asking(self._client, self._now_ns())
        rows = asking.trace(trace_id)
        if not rows:
            return Evidence(Window(0, 0))
        last_ns = max(row.end_ns for row in rows)
        window = Window(min(row.start_ns for row in rows), last_ns + 1)
        # What is open was open for as long as its process went on to tell of itself.
        later = Window(last_ns, last_ns + TOLD_WITHIN_NS)
        told = asking.latest(search.VITALS, later, _MOST_RECORDS).rows if _still_open(rows) else []
        return self._told(evidence(rows, window, heard([*rows, *told])), asking)

    def newest(self) -> Newest:
        """Return a live reading of the last minutes (newest.py)."""
        return Latest(self._client, self._settings, self._now_ns)

    def _told(self, told: Evidence, asking: Asking) -> Evidence:
        if asking.partial:
            log.warning(
                "%d traces are larger than Tempo allows, spans of them are missing (%s)",
                len(asking.partial),
                min(asking.partial),
            )
        settled_ns = self._now_ns() - int(self._settings.lag_s * _SECOND_NS)
        return replace(told, settled_ns=settled_ns)

    # --- all there is -----------------------------------------------------------------------------

    def _whole(self, asking: Asking, window: Window, found: Result, most: int) -> Evidence | None:
        """Return a window with all that a search found in it; None if that is more than `most`."""
        later = Window(window.start_ns, window.end_ns + TOLD_WITHIN_NS)
        # A record without a request is a trace of one span, and of those there are many.
        alone = asking.latest(search.VITALS, later, _MOST_RECORDS).rows
        for query in search.WATCHED:
            alone += asking.latest(query, window, _MOST_RECORDS).rows
        known = {row.trace_id.hex() for row in alone}
        before = Window(window.start_ns - TOLD_WITHIN_NS, window.start_ns)
        still = asking.latest(search.OPEN, before, most + 1).traces
        wanted = {*found.traces, *still} - known
        if len(wanted) > most:
            return None
        rows = with_queues(asking.traces(sorted(wanted)) + alone, asking)
        heard_ns = heard(rows)
        mine = _belonging(rows, window, heard_ns)
        return evidence([row for row in rows if row.trace_id in mine], window, heard_ns)

    # --- from when to when ------------------------------------------------------------------------

    def _covered(self, asking: Asking, now_s: float) -> Window | None:
        now_ns = self._now_ns()
        start_ns = now_ns - self._settings.lookback_s * _SECOND_NS
        newest = asking.latest(search.EVERYTHING, Window(start_ns, now_ns), 20).traces.values()
        if not newest:
            return None
        end_ns = max(one.end_ns for one in newest) + 1
        if self._oldest is None or now_s - self._oldest[0] > _OLDEST_FOR_S:
            first_ns = min(one.start_ns for one in newest)
            self._oldest = now_s, _first(asking, start_ns, max(start_ns, first_ns))
        return Window(max(start_ns, min(self._oldest[1], end_ns - 1)), end_ns)


def _first(asking: Asking, start_ns: int, known_ns: int) -> int:
    """Return when the oldest trace began, or somewhat before, by halving the time before it."""
    step_ns = max(_SECOND_NS, (known_ns - start_ns) // _PARTS)
    low_ns, high_ns, middle_ns = start_ns, known_ns, start_ns + step_ns
    while high_ns - low_ns > step_ns:
        if asking.any_of(search.EVERYTHING, Window(low_ns, middle_ns), 1).traces:
            high_ns = middle_ns
        else:
            low_ns = middle_ns
        middle_ns = (low_ns + high_ns) // 2
    return low_ns


def _still_open(rows: Sequence[Row]) -> list[Row]:
    """Return snapshots of what has no final."""
    known = list(rows)
    finals = {(row.trace_id, row.span_id) for row in known if row.snapshot_of is None}
    return [
        row for row in known if row.snapshot_of and (row.trace_id, row.snapshot_of) not in finals
    ]


def _belonging(rows: list[Row], window: Window, heard_ns: dict[str, int]) -> set[bytes]:
    """Return the traces that overlap a window, or are open and their process was heard of since."""
    overlapping = {
        row.trace_id
        for row in rows
        if row.start_ns < window.end_ns and row.end_ns >= window.start_ns
    }
    still = {
        row.trace_id
        for row in _still_open(rows)
        if row.start_ns < window.end_ns and heard_ns[row.instance] >= window.start_ns
    }
    return overlapping | still


def tempo(address: str, settings: TempoSettings, **how: Any) -> TempoStore:
    """Return the store at an address; `how` is passed on to `Client`.

    Raises:
        ConfigError: the address or a setting makes no sense.
    """
    return TempoStore(Client(address, settings, **how), settings)
