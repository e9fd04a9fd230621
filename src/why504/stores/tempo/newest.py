"""A live reading of Tempo: what came since the last look, by a few searches and some whole traces.

A search shows of a trace in several parts one part only, and what is open is told in a new part
each time. So searches say which requests are open, and those that matter most are read whole, by
id, which has no lag: who holds something first, then who was read longest ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from why504 import names
from why504.model import Window
from why504.stores.access import TempoSettings
from why504.stores.records import Row
from why504.stores.tempo import live_queries
from why504.stores.tempo.client import Client
from why504.stores.tempo.search import SPANS_EACH, TOLD_WITHIN_NS, Asking, Result

MOST_READ: Final = 40
"""Traces that are read whole at one look; a look is every two seconds."""
_MOST_OPEN: Final = 20_000
"""Traces with something open that are kept in mind."""
_LATE_NS: Final = 15 * 10**9
"""What is exported, and searched for, so much after it was told is not missed."""
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
        start_ns = last_ns - int(self.lag_s * 1e9) - _LATE_NS
        found = _searched(asking, Window(max(start_ns, window.start_ns), now_ns))
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
        fresh = self._fresh(rows)
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

        Then who holds something, of whom most is to be told, and who was read longest ago.
        """
        ordered = sorted(
            (trace_id for trace_id, one in self._open.items() if one.parts),
            key=lambda trace_id: (
                self._open[trace_id].read_ns > 0 and not self._open[trace_id].holds,
                self._open[trace_id].read_ns,
                trace_id,
            ),
        )
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
        latest = sorted(
            (
                (max(one.parts.values()), trace_id)
                for trace_id, one in self._open.items()
                if one.parts and max(one.parts.values()) >= told_ns
            ),
            reverse=True,
        )
        self._open = {trace_id: self._open[trace_id] for _, trace_id in latest[:_MOST_OPEN]}


def _searched(asking: Asking, window: Window) -> list[Result]:
    """Ask all searches at once; return what each found."""
    with ThreadPoolExecutor(len(live_queries.ALL)) as pool:
        told = pool.map(lambda one: asking.latest(one.query, window, one.most), live_queries.ALL)
        return list(told)
