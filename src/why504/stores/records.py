"""Rows to evidence: snapshots merged, records told from spans. Pure; shared by the stores.

The rules are those of docs/how-evidence-travels.md, "Open and final".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from why504 import names
from why504.model import Attributes, Evidence, Hold, Record, Site, Span, Stall, Wait, Window


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


KINDS: Final = ("internal", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("unset", "ok", "error")
RECORDS: Final[Mapping[str, type[Wait] | type[Hold] | type[Stall]]] = {
    names.WAIT: Wait,
    names.HOLD: Hold,
    names.STALL: Stall,
}
BOOKKEEPING: Final = frozenset(
    {names.KEEP, names.SNAPSHOT_PARENT, names.SNAPSHOT_KIND, names.INFLIGHT_AGE_S}
)
PLACE: Final = frozenset(
    {names.CODE_FILE, names.CODE_LINE, names.CODE_FUNCTION, names.CODE_STACKTRACE}
)

_Key = tuple[bytes, bytes]


def evidence(rows: Iterable[Row], window: Window, heard_ns: Mapping[str, int]) -> Evidence:
    """Merge rows, in any order and with any repetition, into one item a span or record.

    Args:
        heard_ns: instance -> when it was last heard of, passed on as it is.
    """
    merging = _Merging()
    for row in rows:
        merging.add(row)
    items = sorted(merging.items(), key=lambda item: (item.start_ns, item.trace_id, item.span_id))
    return Evidence(
        window=window,
        spans=[item for item in items if isinstance(item, Span)],
        waits=[item for item in items if isinstance(item, Wait)],
        holds=[item for item in items if isinstance(item, Hold)],
        stalls=[item for item in items if isinstance(item, Stall)],
        heard_ns=heard_ns,
    )


@dataclass(slots=True)
class _Merging:
    """The best row of each span: its final, its latest snapshot, the latest that knows a place."""

    finals: dict[_Key, Row] = field(default_factory=dict)
    snapshots: dict[_Key, Row] = field(default_factory=dict)
    placed: dict[_Key, Row] = field(default_factory=dict)
    parsed: dict[tuple[str, int | None, str | None], dict[str, Any]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        if row.snapshot_of is not None:
            key = (row.trace_id, row.snapshot_of)
            _keep_later(self.snapshots, key, row)
            if '"code.' in row.attributes:
                _keep_later(self.placed, key, row)
        elif row.record != names.SNAPSHOT:
            _keep_later(self.finals, (row.trace_id, row.span_id), row)

    def items(self) -> list[Span | Record]:
        items = [self._final(key, row) for key, row in self.finals.items()]
        still_open = self.snapshots.keys() - self.finals.keys()
        return items + [self._open(key, self.snapshots[key]) for key in still_open]

    def _final(self, key: _Key, row: Row) -> Span | Record:
        attributes = self._attributes(row)
        seen = self._attributes(self.placed[key]) if key in self.placed else {}
        if row.record is not None and row.resource is not None and row.record in RECORDS:
            return _record(row, key, attributes, seen, end_ns=row.end_ns)
        # Where the span was blocked is what a snapshot saw; its own code.* is where it is defined.
        return Span(
            trace_id=row.trace_id.hex(),
            span_id=row.span_id.hex(),
            parent_id=row.parent_id.hex() if row.parent_id else None,
            name=row.name,
            kind=KINDS[row.kind],
            start_ns=row.start_ns,
            end_ns=row.end_ns,
            last_seen_ns=row.end_ns,
            service=row.service,
            instance=row.instance,
            status=STATUSES[row.status],
            attributes=attributes,
            site=_site(seen) or _site(attributes),
            stack=_stack(seen) or _stack(attributes),
        )

    def _open(self, key: _Key, row: Row) -> Span | Record:
        attributes = self._attributes(row)
        seen = self._attributes(self.placed[key]) if key in self.placed else {}
        if row.record is not None and row.resource is not None and row.record in RECORDS:
            return _record(row, key, attributes, seen, end_ns=None)
        return Span(
            trace_id=row.trace_id.hex(),
            span_id=key[1].hex(),
            parent_id=_text(attributes.get(names.SNAPSHOT_PARENT)) or None,
            name=row.name.removeprefix("snapshot "),
            kind=_open_kind(attributes),
            start_ns=row.start_ns,
            end_ns=None,
            last_seen_ns=row.end_ns,
            service=row.service,
            instance=row.instance,
            status=STATUSES[row.status],
            attributes=_without(attributes, BOOKKEEPING | PLACE),
            site=_site(seen),
            stack=_stack(seen),
        )

    def _attributes(self, row: Row) -> dict[str, Any]:
        """Return the attributes with those lifted into columns put back; shared, not to be changed.

        Most rows of a service say the same, so each text is parsed once.
        """
        key = (row.attributes, row.http_status, row.resource)
        known = self.parsed.get(key)
        if known is None:
            known = self.parsed[key] = _parsed(row)
        return known


def _keep_later(kept: dict[_Key, Row], key: _Key, row: Row) -> None:
    other = kept.setdefault(key, row)
    if other is not row and _rank(row) > _rank(other):
        kept[key] = row


def _rank(row: Row) -> tuple[int, int, str]:
    # The text decides between rows that claim the same: the answer must not depend on their order.
    return (row.sequence or 0, row.end_ns, repr(row))


def _record(
    row: Row, key: _Key, attributes: dict[str, Any], seen: dict[str, Any], *, end_ns: int | None
) -> Record:
    return RECORDS[row.record or ""](
        trace_id=row.trace_id.hex(),
        span_id=key[1].hex(),
        parent_id=row.parent_id.hex() if row.parent_id else None,
        resource=row.resource or "",
        start_ns=row.start_ns,
        end_ns=end_ns,
        last_seen_ns=row.end_ns,
        service=row.service,
        instance=row.instance,
        outcome=_text(attributes.get(names.OUTCOME)),
        attributes=_without(attributes, BOOKKEEPING | PLACE | {names.RESOURCE, names.OUTCOME}),
        site=_site(attributes) or _site(seen),
        stack=_stack(attributes) or _stack(seen),
    )


def _parsed(row: Row) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(row.attributes)
    # Maps, absent values and bare lists of them have no place in the model: they become text.
    if "{" in row.attributes[1:] or "null" in row.attributes:
        told = {key: _modelled(value) for key, value in told.items() if value is not None}
    if row.http_status is not None:
        told[names.HTTP_STATUS] = row.http_status
    if row.resource is not None:
        told[names.RESOURCE] = row.resource
    return told


def _modelled(value: Any) -> Any:
    nested = isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(one, dict | list | None) for one in value)
    )
    return json.dumps(value, ensure_ascii=False) if nested else value


def _without(attributes: Mapping[str, Any], dropped: frozenset[str]) -> Attributes:
    return {key: value for key, value in attributes.items() if key not in dropped}


def _site(attributes: Mapping[str, Any]) -> Site | None:
    file = attributes.get(names.CODE_FILE)
    if not isinstance(file, str):
        return None
    line = attributes.get(names.CODE_LINE)
    return Site(
        file, line if isinstance(line, int) else 0, _text(attributes.get(names.CODE_FUNCTION))
    )


def _stack(attributes: Mapping[str, Any]) -> str:
    return _text(attributes.get(names.CODE_STACKTRACE))


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
