"""What a live view keeps: the items of the last minutes, by trace, and no more than it may.

An item replaces what was told of the same span or record before: whoever feeds this has merged the
rows (stores/records.py). Times are Unix nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import attrgetter
from typing import Any, Final, NamedTuple

from why504 import names
from why504.diagnose.endings import due_again
from why504.diagnose.peers import status_of
from why504.diagnose.victims import CLIENT_GAVE_UP, GATEWAY_TIMEOUT
from why504.model import Evidence, Hold, Record, Span, Stall, Vitals, Wait

Item = Span | Record
Key = tuple[str, str]
"""Trace id and span id."""

KEEP_NS: Final = 15 * 60 * 1_000_000_000
"""What was last told longer ago goes, and what ends as far ahead was told by a broken clock."""
SILENT_NS: Final = 60 * 1_000_000_000
"""A process not heard of for so long is taken for gone; what is open is told every 5 s."""
MOST_ITEMS: Final = 150_000
"""So many spans and records are kept, some 1.5 kB each."""
MOST_USUAL: Final = 5_000
"""Of the traces that ended well so many are kept, the latest: they only say what is usual."""
_MAKE_ROOM: Final = 0.9
"""To this share of the most, so that room is not made at every turn."""


@dataclass(slots=True)
class Trace:
    """What is kept of one trace."""

    items: dict[str, Item] = field(default_factory=dict)
    """By span id."""
    told_ns: dict[str, int] = field(default_factory=dict)
    """When an open item was told again, saying nothing else that is new."""
    open: set[str] = field(default_factory=set)
    first_ns: int = 2**63
    """When the first thing in it began."""
    last_ns: int = 0
    """When anything of it was last told of."""
    gateway: Span | None = None
    """The outermost gateway's span that ended."""
    has: int = 0
    """Open holds and stalls in it, and waits for locks of a database."""
    weighty: int = 0
    """Items of what anybody had, also of what is over, and of locks and processes."""
    version: int = 0
    """Another as soon as anything but the time of telling is another."""
    marked: int = 0
    """Items that may be to blame, or be blamed for: all but ordinary spans that ended well."""

    def add(self, item: Item) -> None:
        """Take an item in place of what was told before."""
        before = self.items.get(item.span_id)
        self.items[item.span_id] = item
        self.told_ns.pop(item.span_id, None)
        self.first_ns = min(self.first_ns, item.start_ns)
        self.last_ns = max(self.last_ns, item.last_seen_ns)
        if before is not None and _says_the_same(before, item):
            return
        self.version += 1
        self.has += _has(item) - _has(before)
        self.weighty += _is_weighty(item) - _is_weighty(before)
        self.marked += _is_marked(item) - _is_marked(before)
        (self.open.add if item.end_ns is None else self.open.discard)(item.span_id)
        known = self.gateway
        if (
            isinstance(item, Span)
            and _ended_at_gateway(item)
            and (known is None or (item.start_ns, item.span_id) <= (known.start_ns, known.span_id))
        ):
            self.gateway = item

    def add_again(self, span_id: str, told_ns: int) -> None:
        """Note that an open item was told again, until then."""
        if span_id in self.open:
            self.told_ns[span_id] = max(told_ns, self.told_ns.get(span_id, 0))
            self.last_ns = max(self.last_ns, told_ns)

    def current(self) -> list[Item]:
        """Return the items as of their last telling."""
        return [self.as_told(item) for item in self.items.values()]

    def as_told(self, item: Item) -> Item:
        """Return an item of this trace as of its last telling."""
        told_ns = self.told_ns.get(item.span_id)
        return item if told_ns is None else replace(item, last_seen_ns=told_ns)

    @property
    def worth(self) -> tuple[int, int]:
        """Return its rank when room has to be made; the least goes first."""
        rank = 3 if self.has else 2 if self.open else 1 if self.marked else 0
        return rank, self.last_ns


_GAVE_UP: Final = (GATEWAY_TIMEOUT, CLIENT_GAVE_UP)


class GoingOn(NamedTuple):
    """A trace in which something is open."""

    trace_id: str
    trace: Trace
    open: list[Item]
    """By start; as they were told first, `trace.as_told` knows until when."""


class Kept:
    """Items of the last 15 minutes, and of the traces that have something open."""

    def __init__(self, most_items: int) -> None:
        self.traces: dict[str, Trace] = {}
        self.heard_ns: dict[str, int] = {}
        """Instance -> when it was last heard of, on its own clock."""
        self._serving: set[str] = set()
        """Instances that serve requests, or tell of themselves: no gateways and watchers."""
        self.items = 0
        self.refused = 0
        """Items that were too old, or too far ahead of all clocks."""
        self.dropped = 0
        """Items that had to go before their time, for want of room."""
        self._most_items = most_items

    def add(self, delta: Evidence, now_ns: int, again: Mapping[Key, int]) -> set[Key]:
        """Take what is new, and what was told again until when; return what is kept no longer."""
        latest_ns = now_ns + KEEP_NS
        gone: set[Key] = set()
        for instance, heard_ns in delta.heard_ns.items():
            if heard_ns <= latest_ns:
                self.heard_ns[instance] = max(heard_ns, self.heard_ns.get(instance, 0))
        for item in items_of(delta):
            if max(item.start_ns, item.last_seen_ns) > latest_ns:
                gone.add((item.trace_id, item.span_id))
                continue
            trace = self.traces.setdefault(item.trace_id, Trace())
            self.items += item.span_id not in trace.items
            trace.add(item)
            if _is_of_service(item):
                self._serving.add(item.instance)
        for (trace_id, span_id), told_ns in again.items():
            if told_ns > latest_ns:
                gone.add((trace_id, span_id))
            elif trace_id in self.traces:
                self.traces[trace_id].add_again(span_id, told_ns)
        self.refused += len(gone)
        oldest_ns = now_ns - KEEP_NS
        old = [t for t, trace in self.traces.items() if trace.last_ns < oldest_ns]
        gone.update(self._forget(old))
        gone.update(self._forget(self._more_than_usual()))
        gone.update(self._make_room())
        lost = [i for i, heard_ns in self.heard_ns.items() if heard_ns < oldest_ns]
        for instance in lost:
            del self.heard_ns[instance]
        self._serving.intersection_update(self.heard_ns)
        return gone

    def service_heard_ns(self) -> int | None:
        """Return when any process that serves requests was last heard of; None if none was."""
        return max((self.heard_ns[i] for i in self._serving if i in self.heard_ns), default=None)

    def silent(self, now_ns: int) -> list[str]:
        """Return the instances that were not heard of for a minute."""
        limit_ns = now_ns - SILENT_NS
        return sorted(i for i, heard_ns in self.heard_ns.items() if heard_ns < limit_ns)

    def going_on(self, now_ns: int) -> list[GoingOn]:
        """Return the traces that go on.

        Open is what was told again whenever it was due, by an instance that is not silent.
        """
        silent = self.silent(now_ns)
        heard_ns = {i: ns for i, ns in self.heard_ns.items() if i not in silent}
        found = []
        for trace_id, trace in self.traces.items():
            if trace.open:
                told = [trace.items[span_id] for span_id in trace.open]
                told = [item for item in told if _goes_on(item, trace, heard_ns)]
                if told:
                    if len(told) > 1:
                        told.sort(key=_BY_START)
                    found.append(GoingOn(trace_id, trace, told))
        return found

    def _more_than_usual(self) -> list[str]:
        usual = [(t.last_ns, trace_id) for trace_id, t in self.traces.items() if not t.marked]
        excess = len(usual) - MOST_USUAL
        return [trace_id for _, trace_id in sorted(usual)[:excess]] if excess > 0 else []

    def _make_room(self) -> set[Key]:
        if self.items <= self._most_items:
            return set()
        least = sorted(self.traces, key=lambda trace_id: (self.traces[trace_id].worth, trace_id))
        excess = self.items - int(self._most_items * _MAKE_ROOM)
        chosen = []
        for trace_id in least:
            if excess <= 0:
                break
            chosen.append(trace_id)
            excess -= len(self.traces[trace_id].items)
        gone = self._forget(chosen)
        self.dropped += len(gone)
        return gone

    def _forget(self, trace_ids: Iterable[str]) -> set[Key]:
        gone: set[Key] = set()
        for trace_id in trace_ids:
            trace = self.traces.pop(trace_id)
            self.items -= len(trace.items)
            gone.update((trace_id, span_id) for span_id in trace.items)
        return gone


def items_of(evidence: Evidence) -> Iterator[Item]:
    """Yield everything that some evidence tells of."""
    return chain(evidence.spans, evidence.waits, evidence.holds, evidence.stalls, evidence.vitals)


_BY_START: Final = attrgetter("start_ns", "span_id")


def _goes_on(item: Item, trace: Trace, heard_ns: Mapping[str, int]) -> bool:
    until_ns = heard_ns.get(item.instance)
    seen_ns = trace.told_ns.get(item.span_id, item.last_seen_ns)
    return until_ns is not None and due_again(item.start_ns, seen_ns) >= until_ns


def _says_the_same(before: Item, item: Item) -> bool:
    """Return whether only the time of telling is another."""
    if before.end_ns is not None or item.end_ns is not None or type(before) is not type(item):
        return False
    says = _SAYS[type(item)]
    return bool(says(before) == says(item))


_RECORDS: Final = attrgetter(
    "start_ns", "parent_id", "attributes", "site", "stack", "instance", "resource", "outcome"
)
_SAYS: Final[Mapping[type[Item], attrgetter[Any]]] = {
    Span: attrgetter(
        "start_ns", "parent_id", "attributes", "site", "stack", "instance", "name", "status", "kind"
    ),
    Wait: _RECORDS,
    Hold: _RECORDS,
    Stall: _RECORDS,
    Vitals: _RECORDS,
}


def _is_of_service(item: Item) -> bool:
    if isinstance(item, Span):
        return item.kind == "server" and item.service != names.GATEWAY_SERVICE
    return isinstance(item, Vitals)


def _is_weighty(item: Item | None) -> bool:
    """Return whether it tells of what anybody had, or of locks and processes."""
    if isinstance(item, Span):
        return item.name in (names.LOCKS_WATCHED, names.BROKER_WATCHED)
    return item is not None and not (
        isinstance(item, Wait) and not item.resource.startswith("db.lock:")
    )


def _has(item: Item | None) -> bool:
    if item is None or item.end_ns is not None:
        return False
    waits = isinstance(item, Wait) and item.resource.startswith("db.lock:")
    return waits or isinstance(item, Hold | Stall)


def _ended_at_gateway(span: Span) -> bool:
    return span.service == names.GATEWAY_SERVICE and span.end_ns is not None


def _is_marked(item: Item | None) -> bool:
    if item is None:
        return False
    if not isinstance(item, Span) or item.end_ns is None or item.status == "error":
        return True
    return _ended_at_gateway(item) and status_of(item.attributes) in _GAVE_UP
