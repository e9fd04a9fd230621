"""Searches of Tempo: which queries there are, and pages of results without a gap.

A search sees the parts of a trace apart that came apart, so conditions are on one span each, and
what is certain of a result is the trace's id. `limit` gives any traces, not the latest, unless
`most_recent` is asked for; then the next page ends where the oldest of this one began.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from why504 import names
from why504.model import Window
from why504.stores.records import Row
from why504.stores.tempo import decoding
from why504.stores.tempo.client import LONGEST_S, Client, Refused
from why504.stores.tempo.decoding import Found

PAGE: Final = 5_000
_MOST_PAGE: Final = 262_144
"""Tempo's own `max_result_limit`."""
SPANS_EACH: Final = 100
"""Of a trace; Tempo's own limit."""
TOLD_WITHIN_NS: Final = 330 * 10**9
"""What is open is told again by then, and processes tell of themselves."""
_LATEST: Final = " with (most_recent=true)"
_SECOND_NS: Final = 10**9


def select(*attributes: str) -> str:
    """Return what has a search tell attributes."""
    return f" | select({', '.join(attributes)})"


def span(*attributes: str) -> tuple[str, ...]:
    """Return attributes of a span as TraceQL names them."""
    return tuple(f"span.{name}" for name in attributes)


def of_kind(kind: str, *conditions: str) -> str:
    """Return the query of records of one kind."""
    told = (f'span.{names.KIND}="{kind}"', *conditions)
    return f"{{ {' && '.join(told)} }}"


WHO: Final = ("name", "kind", "resource.service.name", "resource.service.instance.id")
_OPEN: Final = span(names.SNAPSHOT_OF, names.SNAPSHOT_SEQUENCE)
_RECORD: Final = (*WHO, "span:parentID", *span(names.KIND, names.RESOURCE, names.OUTCOME), *_OPEN)
_PLACE: Final = span(names.CODE_FILE, names.CODE_LINE, names.CODE_FUNCTION, names.CODE_STACKTRACE)

_PEER: Final = span(
    names.DB_SYSTEM, names.DB_NAMESPACE, names.MESSAGING_SYSTEM, names.SERVER_ADDRESS,
    names.SERVER_PORT,
)  # fmt: skip

EVERYTHING: Final = "{ }"
GATEWAY: Final = f'resource.service.name="{names.GATEWAY_SERVICE}"'
TIMED_OUT: Final = tuple(
    f"{{ {GATEWAY} && span.{names.HTTP_STATUS}={status} }}" + select(*WHO) for status in (504, 499)
)
"""Requests that somebody may have given up on; one query each, as a page may be full."""
GATEWAY_REQUESTS: Final = f"{{ {GATEWAY} && kind=server }}"
REQUESTS: Final = "{ kind=server }" + select(*WHO)
OPEN: Final = f"{{ span.{names.SNAPSHOT_SEQUENCE} > 0 }}" + select(*_RECORD)
"""What was told while it was open."""
VITALS: Final = of_kind(names.VITALS) + select(
    *_RECORD,
    *span(
        names.CPU_USED_S, names.CPU_DELAY_S, names.CPU_THROTTLED_S, names.CPU_LIMIT,
        names.GC_CPU_S, names.MEMORY_RSS, names.MEMORY_LIMIT, names.MAJOR_FAULTS,
    ),
)  # fmt: skip
WATCHED: Final = tuple(
    f'{{ name="{name}" }}' + select(*WHO, *_PEER, *span(names.BROKER_QUEUES))
    for name in (names.LOCKS_WATCHED, names.BROKER_WATCHED)
)
WAITS: Final = of_kind(names.WAIT) + select(*_RECORD)
STALLS: Final = of_kind(names.STALL) + select(
    *_RECORD, *_PLACE,
    *span(
        names.STALL_SAMPLES, names.STALL_PROGRESSING, names.STALL_CPU_S, names.GC_CPU_S,
        names.STALL_GIL_KEPT,
    ),
)  # fmt: skip
SHARED: Final = f'{{ span.{names.RESOURCE} =~ "(db.lock|broker):.*" }}' + select(
    *_RECORD, *_PEER,
    *span(
        names.BACKEND_PID, names.LOCK_SESSION, names.DB_QUERY, names.BROKER_TROUBLE,
        names.BROKER_BLOCKED, names.BROKER_BLOCKING, names.BROKER_QUEUES,
    ),
)  # fmt: skip
"""Locks of the database and alarms of the broker."""


def holds(longer_than_ms: int) -> str:
    """Return the query of holds that lasted, or are known to last, at least so long."""
    at_least = (f"duration >= {longer_than_ms}ms",) if longer_than_ms else ()
    return of_kind(names.HOLD, *at_least) + select(*_RECORD, *span(names.BACKEND_PID))


def brief_holds(shorter_than_ms: int) -> str:
    """Return the query of holds that lasted less."""
    brief = f"duration < {shorter_than_ms}ms"
    return of_kind(names.HOLD, brief) + select(*_RECORD, *span(names.BACKEND_PID))


def slow(limit_s: float) -> tuple[str, str]:
    """Return the queries of requests that took, and of such as are open for, so long or longer."""
    at_least = f"duration >= {max(1, round(limit_s * 1000))}ms"
    told_open = f'span.{names.SNAPSHOT_KIND}="server"'
    return (
        f"{{ kind=server && {at_least} }}" + select(*WHO),
        of_kind(names.SNAPSHOT, told_open, at_least) + select(*WHO, *_OPEN),
    )


class Result(NamedTuple):
    """What a search found."""

    traces: dict[str, Found]
    """By trace id."""
    complete: bool
    """False where there is more than was asked for."""

    @property
    def rows(self) -> list[Row]:
        """The spans that were asked for, as far as the search saw them."""
        return [row for one in self.traces.values() for row in one.rows]


class Asking:
    """Asks Tempo for one piece of evidence, and no longer than for three minutes.

    Args:
        client: Tempo.
        now_ns: nobody is asked about what is later, or younger than a search finds.
    """

    def __init__(self, client: Client, now_ns: int) -> None:
        self._client = client
        self._now_s = -(-now_ns // _SECOND_NS)
        self._until_s = client.clock() + LONGEST_S
        self.partial: set[str] = set()
        """Traces that Tempo cut short: they are larger than it allows."""
        self._guard = threading.Lock()
        self._largest_page = _MOST_PAGE

    def any_of(self, query: str, window: Window, limit: int) -> Result:
        """Return any traces of a window that match, so many at most: one question, a cheap one.

        Raises:
            StoreUnavailable: Tempo can't be read now.
        """
        traces, full = self._page(query, self._seconds(window), limit)
        return Result({one.trace_id: one for one in traces}, complete=not full)

    def latest(self, query: str, window: Window, most: int) -> Result:
        """Return the traces of a window that match, latest first, in pages.

        Args:
            query: TraceQL, on one span.
            window: what they overlap.
            most: once so many are known no further page is asked for.

        Raises:
            StoreUnavailable: Tempo can't be read now.
        """
        known: dict[str, Found] = {}
        start_s, end_s = self._seconds(window)
        limit = min(PAGE, most)
        while True:
            traces, full = self._page(query + _LATEST, (start_s, end_s), limit)
            for one in traces:
                known.setdefault(one.trace_id, one)
            if not full or len(known) >= most:
                return Result(known, complete=not full)
            # Rounded up: others may have begun in the same second.
            oldest_ns = min((one.start_ns for one in traces), default=end_s * _SECOND_NS)
            oldest_s = -(-oldest_ns // _SECOND_NS)
            before_s, end_s = end_s, max(start_s + 1, min(oldest_s, end_s))
            if end_s == before_s:
                if limit >= self._largest_page:
                    return Result(known, complete=False)
                limit = min(4 * limit, self._largest_page)

    def _page(self, query: str, seconds: tuple[int, int], limit: int) -> tuple[list[Found], bool]:
        """Return traces, and whether there may be more."""
        if seconds[0] >= self._now_s - self._client.settings.lag_s:
            return [], False
        limit = min(limit, self._largest_page)
        params: dict[str, str | int] = {
            "q": query, "start": seconds[0], "end": seconds[1], "limit": limit, "spss": SPANS_EACH,
        }  # fmt: skip
        try:
            body = self._json("api/search", params)
        except Refused as refused:
            cap = re.search(r"exceeds max limit (\d+)", refused.reason)
            if cap is None or not 0 < int(cap[1]) < limit:
                raise
            self._largest_page = int(cap[1])
            return self._page(query, seconds, limit)
        traces, named = self._decoded(lambda: decoding.found(body))
        return traces, named >= limit

    def traces(self, trace_ids: Iterable[str]) -> list[Row]:
        """Return all spans of some traces (32 hex digits each), several read at once.

        Raises:
            StoreUnavailable: Tempo can't be read now.
        """
        pool = ThreadPoolExecutor(self._client.settings.parallel)
        try:
            found = list(pool.map(self.trace, dict.fromkeys(trace_ids)))
        finally:
            # Whoever is to hear of an error should not wait for the others' answers.
            pool.shutdown(wait=False, cancel_futures=True)
        return [row for rows in found for row in rows]

    def trace(self, trace_id: str) -> list[Row]:
        """Return all spans of a trace; none when it is unknown.

        Raises:
            StoreUnavailable: Tempo can't be read now.
        """
        body = self._json(f"api/v2/traces/{trace_id}", {})
        if isinstance(body, dict) and body.get("status") == "PARTIAL":
            with self._guard:
                self.partial.add(trace_id)
        raw_id = bytes.fromhex(trace_id)
        rows: list[Row] = self._decoded(lambda: decoding.rows_of_trace(body))
        return [row for row in rows if row.trace_id == raw_id]

    def count(self, query: str, window: Window) -> int:
        """Return how many spans match, by TraceQL metrics: those that began in the window.

        Raises:
            StoreUnavailable: Tempo can't be read now.
            Refused: it does not count: metrics are off, or the window is too long.
        """
        start_s, end_s = self._seconds(window)
        params: dict[str, str | int] = {
            "q": query + " | count_over_time()",
            "start": start_s,
            "end": end_s,
        }
        body = self._json("api/metrics/query", params)
        return int(self._decoded(lambda: decoding.total(body)))

    def _seconds(self, window: Window) -> tuple[int, int]:
        """Return start and end in whole seconds around a window; Tempo wants them to differ."""
        start_s = max(0, window.start_ns // _SECOND_NS)
        end_s = min(-(-window.end_ns // _SECOND_NS), self._now_s)
        return start_s, max(start_s + 1, end_s)

    def _json(self, path: str, params: dict[str, str | int]) -> Any:
        return self._client.json(path, params, self._until_s)

    def _decoded(self, decode: Any) -> Any:
        try:
            return decode()
        except (ValueError, RecursionError):
            raise self._client.no_api("no traces in its JSON") from None


def pieces(window: Window, count: int) -> Iterator[Window]:
    """Yield a window in pieces of equal length."""
    edges = [window.start_ns + (window.end_ns - window.start_ns) * i // count for i in range(count)]
    for start_ns, end_ns in zip(edges, [*edges[1:], window.end_ns], strict=True):
        yield Window(start_ns, end_ns)
