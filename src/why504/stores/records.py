"""Rows to evidence: snapshots merged, records told from spans. Pure; shared by the stores.

The rules are those of docs/how-evidence-travels.md, "Open and final".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

from why504 import names
from why504.model import (
    Evidence,
    Hold,
    Record,
    Site,
    Span,
    Stall,
    Vitals,
    Wait,
    Window,
)


class Row(NamedTuple):
    """One stored span, in the columns of `tables.SPANS` that evidence is made of."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status: int
    service: str
    instance: str
    record: str | None
    resource: str | None
    snapshot_of: bytes | None
    sequence: int | None
    http_status: int | None
    attributes: str


(
    _TRACE_ID, _SPAN_ID, _PARENT_ID, _END_NS, _RECORD, _SNAPSHOT_OF, _SEQUENCE, _HTTP_STATUS,
    _ATTRIBUTES,
) = (
    Row._fields.index(name)
    for name in (
        "trace_id", "span_id", "parent_id", "end_ns", "record", "snapshot_of", "sequence",
        "http_status", "attributes",
    )
)  # fmt: skip
KINDS: Final = ("internal", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("unset", "ok", "error")
RECORDS: Final[Mapping[str, type[Wait] | type[Hold] | type[Stall] | type[Vitals]]] = {
    names.WAIT: Wait,
    names.HOLD: Hold,
    names.STALL: Stall,
    names.VITALS: Vitals,
}
_DROPPED: Final = frozenset(
    {
        *(names.KEEP, names.SNAPSHOT_PARENT, names.SNAPSHOT_KIND, names.INFLIGHT_AGE_S),
        *(names.CODE_FILE, names.CODE_LINE, names.CODE_FUNCTION, names.CODE_STACKTRACE),
        *(names.RESOURCE, names.OUTCOME),
    }
)
_MOST_KNOWN: Final = 100_000
"""Texts that are remembered; whoever merges for hours meets millions."""

_Plain = tuple[Any, ...]
"""A row as it was read: the garbage collector passes over plain tuples, not over a `Row`."""
Key = tuple[bytes, bytes]
"""Trace id and span id."""


def evidence(
    rows: Sequence[tuple[Any, ...]], window: Window, heard_ns: Mapping[str, int]
) -> Evidence:
    """Merge rows, in any order and with any repetition, into one item a span or record.

    Args:
        rows: in the order of `Row`'s fields; plain tuples cost the garbage collector nothing.
        heard_ns: instance -> when it was last heard of, passed on as it is.
    """
    merging = Merging()
    merging.add(rows)
    items = sorted(merging.items(), key=attrgetter("start_ns", "trace_id", "span_id"))
    return Evidence.of(items, window, heard_ns)


class Added(NamedTuple):
    """What some rows told."""

    changed: set[Key]
    """Spans and records of which something is new; `Merging.items` has them."""
    again: dict[Key, int]
    """Open ones of which only the time is new: until then, Unix nanoseconds."""


class Merging:
    """Rows by span: its final, its latest snapshot, and the latest one that knows a place.

    Rows may come in any order, in any number of portions and more than once.
    """

    def __init__(self) -> None:
        self._finals: dict[Key, _Plain] = {}
        self._latest: dict[Key, _Plain] = {}
        self._placed: dict[Key, _Plain] = {}
        self._known: dict[tuple[str, int | None, str | None], _Told] = {}

    def __len__(self) -> int:
        """Return how many spans and records are known, ended or open."""
        return len(self._finals) + sum(key not in self._finals for key in self._latest)

    def add(self, rows: Iterable[tuple[Any, ...]]) -> Added:
        """Take more rows.

        Args:
            rows: in the order of `Row`'s fields; plain tuples cost the garbage collector nothing.
        """
        changed: set[Key] = set()
        again: dict[Key, int] = {}
        for row in rows:
            if row[_SNAPSHOT_OF] is not None:
                key = (row[_TRACE_ID], row[_SNAPSHOT_OF])
                if self._is_again(key, row):
                    again[key] = row[_END_NS]
                    continue
                _keep_later(self._latest, key, row)
                if '"code.' in row[_ATTRIBUTES]:
                    _keep_later(self._placed, key, row)
            elif row[_RECORD] == names.SNAPSHOT:
                continue
            else:
                key = (row[_TRACE_ID], row[_SPAN_ID])
                other = self._finals.setdefault(key, row)
                if other is not row and other != row:
                    # Should the copies differ, the answer must not depend on their order.
                    self._finals[key] = max(other, row, key=repr)
            changed.add(key)
        return Added(changed, {key: ns for key, ns in again.items() if key not in changed})

    def _is_again(self, key: Key, row: _Plain) -> bool:
        """Take a later snapshot if it tells the same as the latest; most do, while things hang."""
        latest, placed = self._latest.get(key), self._placed.get(key)
        if latest is None or key in self._finals or (placed is not None and placed is not latest):
            return False
        if _rank(row) <= _rank(latest) or not _same_but_time(latest, row):
            return False
        self._latest[key] = row
        if placed is not None:
            self._placed[key] = row
        return True

    def items(self, keys: Iterable[Key] | None = None) -> list[Span | Record]:
        """Return what is known of some spans and records, of all by default, in no order."""
        if keys is None:
            keys = self._finals.keys() | self._latest.keys()
        return [self._merged(key) for key in keys]

    def forget(self, keys: Iterable[Key]) -> None:
        """Drop all that is known of some spans and records."""
        for key in keys:
            for known in (self._finals, self._latest, self._placed):
                known.pop(key, None)

    def _merged(self, key: Key) -> Span | Record:
        final, placed = self._finals.get(key), self._placed.get(key)
        plain = final or self._latest[key]
        row = Row._make(plain)
        told = self._told(row)
        seen = told if placed is None or placed is plain else self._told(Row._make(placed))
        return _item(key, row, None if final is None else row.end_ns, told, seen)

    def _told(self, row: Row) -> _Told:
        # Most rows of a service say the same, so each text is parsed once; nobody changes it.
        text = row.attributes if row.snapshot_of is None else _ageless(row.attributes)
        key = (text, row.http_status, row.resource)
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        return self._known.get(key) or self._known.setdefault(key, _parsed(*key))


def _item(key: Key, row: Row, end_ns: int | None, told: _Told, seen: _Told) -> Span | Record:
    if row.record in RECORDS and row.resource is not None:
        return _record(row, key[1], end_ns, told, seen)
    return _open_span(row, key[1], told, seen) if end_ns is None else _span(row, told, seen)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the attributes of a row say."""

    attributes: dict[str, Any]
    bare: dict[str, Any]
    """Without what only says how it was told, or has a field of its own."""
    site: Site | None
    stack: str


def _span(row: Row, told: _Told, seen: _Told) -> Span:
    return Span(
        row.trace_id.hex(),
        row.span_id.hex(),
        row.parent_id.hex() if row.parent_id else None,
        row.name,
        KINDS[row.kind],
        row.start_ns,
        row.end_ns,
        row.end_ns,
        row.service,
        row.instance,
        STATUSES[row.status],
        _with_shares(told.attributes, seen.attributes),
        # Where it was blocked is what a snapshot saw; its own code.* is where it is defined.
        seen.site or told.site,
        seen.stack or told.stack,
    )


_SHARES: Final = (names.THREAD_CPU_SHARE, names.THREAD_WANTED_SHARE)


def _with_shares(told: dict[str, Any], seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return a final's attributes and what its thread did, which only a snapshot can tell."""
    shares = {name: seen[name] for name in _SHARES if name in seen}
    return {**told, **shares} if shares else told


def _open_span(row: Row, span_id: bytes, told: _Told, seen: _Told) -> Span:
    return Span(
        trace_id=row.trace_id.hex(),
        span_id=span_id.hex(),
        parent_id=_text(told.attributes.get(names.SNAPSHOT_PARENT)) or None,
        name=row.name.removeprefix("snapshot "),
        kind=_open_kind(told.attributes),
        start_ns=row.start_ns,
        end_ns=None,
        last_seen_ns=row.end_ns,
        service=row.service,
        instance=row.instance,
        status=STATUSES[row.status],
        attributes=told.bare,
        site=seen.site,
        stack=seen.stack,
    )


def _rank(row: _Plain) -> tuple[int, int]:
    return row[_SEQUENCE] or 0, row[_END_NS]


def _keep_later(kept: dict[Key, _Plain], key: Key, row: _Plain) -> None:
    other = kept.setdefault(key, row)
    if other is row:
        return
    mine, others = _rank(row), _rank(other)
    # The text decides between rows that claim the same: the answer must not depend on their order.
    if mine > others or (mine == others and repr(row) > repr(other)):
        kept[key] = row


def _record(row: Row, span_id: bytes, end_ns: int | None, told: _Told, seen: _Told) -> Record:
    return RECORDS[row.record or ""](
        trace_id=row.trace_id.hex(),
        span_id=span_id.hex(),
        parent_id=row.parent_id.hex() if row.parent_id else None,
        resource=row.resource or "",
        start_ns=row.start_ns,
        end_ns=end_ns,
        last_seen_ns=row.end_ns,
        service=row.service,
        instance=row.instance,
        outcome=_text(told.attributes.get(names.OUTCOME)),
        attributes=told.bare,
        site=told.site or seen.site,
        stack=told.stack or seen.stack,
    )


def _same_but_time(one: _Plain, other: _Plain) -> bool:
    """Return whether two snapshots of the same tell the same but the age."""
    return (
        one[_PARENT_ID:_END_NS] == other[_PARENT_ID:_END_NS]
        and one[_END_NS + 1 : _SNAPSHOT_OF] == other[_END_NS + 1 : _SNAPSHOT_OF]
        and one[_HTTP_STATUS] == other[_HTTP_STATUS]
        and _same_but_age(one[_ATTRIBUTES], other[_ATTRIBUTES])
    )


def _same_but_age(one: str, other: str) -> bool:
    if one == other:
        return True
    begin = one.find(_AGE)
    if begin < 0 or one[:begin] != other[:begin]:
        return False
    return _ageless(one[begin:]) == _ageless(other[begin:])


def _ageless(text: str) -> str:
    """Return attributes as JSON with the age as 0: else no two snapshots would say the same."""
    begin = text.find(_AGE) + len(_AGE)
    if begin < len(_AGE):
        return text
    end = min(place for place in (text.find(",", begin), len(text) - 1) if place >= 0)
    return f"{text[:begin]}0{text[end:]}"


_AGE: Final = f'"{names.INFLIGHT_AGE_S}":'


def _parsed(attributes: str, http_status: int | None, resource: str | None) -> _Told:
    told: dict[str, Any] = json.loads(attributes)
    # Maps, absent values and bare lists of them have no place in the model: they become text.
    if "{" in attributes[1:] or "null" in attributes:
        told = {key: _modelled(value) for key, value in told.items() if value is not None}
    if http_status is not None:
        told[names.HTTP_STATUS] = http_status
    if resource is not None:
        told[names.RESOURCE] = resource
    bare = {key: value for key, value in told.items() if key not in _DROPPED}
    return _Told(told, bare, _site(told), _text(told.get(names.CODE_STACKTRACE)))


def _modelled(value: Any) -> Any:
    nested = isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(one, dict | list | None) for one in value)
    )
    return json.dumps(value, ensure_ascii=False) if nested else value


def _site(attributes: Mapping[str, Any]) -> Site | None:
    file = attributes.get(names.CODE_FILE)
    if not isinstance(file, str):
        return None
    line = attributes.get(names.CODE_LINE)
    return Site(
        file, line if isinstance(line, int) else 0, _text(attributes.get(names.CODE_FUNCTION))
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _open_kind(attributes: Mapping[str, Any]) -> str:
    told = _text(attributes.get(names.SNAPSHOT_KIND))
    if told in KINDS:
        return told
    calls_out = any(key.startswith(("db.", "gen_ai.", "messaging.")) for key in attributes)
    if calls_out:
        return "client"
    served = names.HTTP_ROUTE in attributes or names.HTTP_METHOD in attributes
    return "server" if served else "internal"
