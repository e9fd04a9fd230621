"""A live reading of Tempo: what came since the last look, by a few searches and some whole traces.

A search shows of a trace in several parts one part only, and what is open is told in a new part
each time. So searches say which requests are open, and some are read whole, by id: who holds
something first, then of whom nobody heard for longest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from why504 import names
from why504.model import Window
from why504.stores.access import TempoSettings
from why504.stores.records import Row
from why504.stores.tempo import live_queries
from why504.stores.tempo.client import Client
from why504.stores.tempo.live_queries import Search
from why504.stores.tempo.search import SPANS_EACH, TOLD_WITHIN_NS, Asking, Result

MOST_READ: Final = 40
"""Traces that are read whole at one look; a look is every two seconds."""
_MOST_OPEN: Final = 20_000
"""Traces with something open that are kept in mind."""
_LATE_NS: Final = 15 * 10**9
"""What is exported, and searched for, so much after it was told is not missed."""
_SECOND_NS: Final = 10**9
_SOON_NS: Final = 5 * _SECOND_NS
"""What is exported so much later than is usual is found by the next look all the same."""
_Key = tuple[bytes, bytes]


@dataclass(slots=True)
class _Open:
    """A trace in which something was told while it was open."""

    parts: dict[bytes, int] = field(default_factory=dict)
    """What is open in it -> until when it was told, Unix nanoseconds."""
    holds: bool = False
    """Whether it has something that others may wait for."""
    read_ns: int = 0
    """When it was last read whole."""

    @property
    def told_ns(self) -> int:
        """When anything open in it was told last; 0 if nothing is open any more."""
        return max(self.parts.values(), default=0)

    @property
    def rank(self) -> tuple[bool, int]:
        """Who comes first is read first."""
        return self.read_ns > 0 or not self.holds, max(self.told_ns, self.read_ns)


class Latest:
    """What Tempo has of the last minutes that was not read yet; for one thread at a time.

    Args:
        client: Tempo.
        settings: how late its searches are.
        now_ns: Unix nanoseconds.
    """

    def __init__(self, client: Client, settings: TempoSettings, now_ns: Callable[[], int]) -> None:
        self._client = client
        self._settings = settings
        self._now_ns = now_ns
        self._looked_ns: int | None = None
        self._seen: dict[_Key, int] = {}
        """Rows that were returned -> their end."""
        self._open: dict[bytes, _Open] = {}

    @property
    def lag_s(self) -> float:
        """How late searches are."""
        return self._settings.lag_s

    def measured(self) -> None:
        """Return that there are no metrics here."""

    def newer(self, window: Window) -> list[Row]:
        """Return the rows that came since the last call; the first goes back five minutes.

        Raises:
            StoreUnavailable: Tempo can't be read now; nothing counts as read then.
        """
        now_ns = self._now_ns()
        asking = Asking(self._client, now_ns)
        last_ns = self._looked_ns or now_ns - TOLD_WITHIN_NS
        shown_ns = now_ns - int(self.lag_s * 1e9)
        since_ns = max(last_ns - int(self.lag_s * 1e9) - _LATE_NS, window.start_ns)
        searches = [(one, Window(since_ns, now_ns)) for one in live_queries.ONCE]
        searches += [
            (live_queries.OPEN, Window(max(shown_ns - width_ns, window.start_ns), now_ns))
            for width_ns in _widths_ns(now_ns - last_ns)
        ]
        found = _searched(asking, searches)
        rows = [row for result in found for row in result.rows]
        cut = [
            one.trace_id for result in found for one in result.traces.values()
            if len(one.rows) >= SPANS_EACH
        ]  # fmt: skip
        self._note(rows)
        chosen = self._chosen(cut)
        rows += asking.traces(trace_id.hex() for trace_id in chosen)
        self._note(rows)
        for trace_id in chosen:
            if trace_id in self._open:
                self._open[trace_id].read_ns = now_ns
        # A trace read by its id is younger than what searches show: later than the moment that all
        # is seen of, a 504 would be there and who held it up would not.
        fresh = self._fresh(row for row in rows if row.end_ns <= shown_ns)
        self._forget(window.start_ns, now_ns)
        self._looked_ns = now_ns
        return fresh

    def _note(self, rows: Iterable[Row]) -> None:
        """Keep in mind what is open, and what no longer is."""
        ended = {(row.trace_id, row.span_id) for row in rows if row.snapshot_of is None}
        for row in rows:
            own = row.snapshot_of
            if own is None or (row.trace_id, own) in ended or (row.trace_id, own) in self._seen:
                continue
            one = self._open.setdefault(row.trace_id, _Open())
            one.parts[own] = max(row.end_ns, one.parts.get(own, 0))
            one.holds |= row.record in (names.HOLD, names.STALL)
        for trace_id, span_id in ended:
            if trace_id in self._open:
                self._open[trace_id].parts.pop(span_id, None)

    def _chosen(self, cut: Iterable[str]) -> list[bytes]:
        """Return the traces that are read whole: of those with too many spans to show some first.

        Then who holds something, then of whom nobody heard for longest: they may have ended.
        """
        ordered = sorted(self._open, key=lambda trace_id: (*self._open[trace_id].rank, trace_id))
        first = [bytes.fromhex(trace_id) for trace_id in cut][: MOST_READ // 4]
        return list(dict.fromkeys([*first, *ordered]))[:MOST_READ]

    def _fresh(self, rows: Iterable[Row]) -> list[Row]:
        """Return rows that were not returned before, each once; the fullest of each."""
        best: dict[_Key, Row] = {}
        for row in rows:
            key = row.trace_id, row.span_id
            if key not in self._seen:
                # A search tells a part of the attributes, a whole trace all of them.
                known = best.get(key)
                if known is None or len(row.attributes) >= len(known.attributes):
                    best[key] = row
        self._seen.update({key: row.end_ns for key, row in best.items()})
        return list(best.values())

    def _forget(self, oldest_ns: int, now_ns: int) -> None:
        self._seen = {key: end_ns for key, end_ns in self._seen.items() if end_ns >= oldest_ns}
        told_ns = now_ns - TOLD_WITHIN_NS - int(self.lag_s * 1e9)
        still = [(one.told_ns, key) for key, one in self._open.items() if one.told_ns >= told_ns]
        self._open = {key: self._open[key] for _, key in sorted(still, reverse=True)[:_MOST_OPEN]}


def _widths_ns(elapsed_ns: int) -> Iterator[int]:
    """Yield how far back to look for what is open, some lengths of time.

    What is open is told again once it is half as old again. A search that goes back for as long as
    since then finds the last part only; one that goes back further may show an earlier part, by
    which a request would have ended long ago. Whoever looks every few seconds has seen all others.
    """
    yield elapsed_ns + _SOON_NS
    if elapsed_ns <= _SOON_NS:
        yield elapsed_ns + _SECOND_NS
        return
    width_ns = elapsed_ns + _SOON_NS
    while width_ns > 2 * _SECOND_NS:
        width_ns = width_ns * 2 // 3
        yield width_ns


def _searched(asking: Asking, searches: Sequence[tuple[Search, Window]]) -> list[Result]:
    """Ask all searches at once; return what each found."""
    with ThreadPoolExecutor(len(searches)) as pool:
        told = pool.map(lambda one: asking.latest(one[0].query, one[1], one[0].most), searches)
        return list(told)
