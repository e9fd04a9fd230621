"""Zipkin v2 JSON: a list of spans, as `/api/v2/trace/<id>` gives it, or a list of such lists.

Source: openzipkin/zipkin-api, zipkin2-api.yaml. Both halves of a call may carry the same id
("shared"), and a half may come in several pieces: pieces are put together, halves told apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from why504 import names
from why504.receive.formats import otlpjson
from why504.receive.formats.otlpjson import Request

Half = dict[str, Any]
_STATUS_TAG: Final = "http.status_code"


def is_zipkin(document: Any) -> bool:
    """Return whether a document looks like Zipkin's."""
    spans = _flat(document)
    return bool(spans) and all("traceId" in span and "id" in span for span in spans)


def requests(document: Any) -> Iterator[Request]:
    """Yield a request for each trace."""
    traces: dict[str, list[Half]] = defaultdict(list)
    for span in _flat(document):
        traces[otlpjson.trace_id(span["traceId"])].append(span)
    for trace_id, spans in traces.items():
        yield otlpjson.request(_spans(trace_id, spans))


def _flat(document: Any) -> list[Half]:
    if not isinstance(document, list):
        return []
    rows = [row for part in document for row in (part if isinstance(part, list) else [part])]
    return rows if all(isinstance(row, dict) for row in rows) else []


def _spans(
    trace_id: str, spans: Sequence[Half]
) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    calls: dict[str, list[Half]] = defaultdict(list)
    for span in spans:
        calls[otlpjson.span_id(span["id"])].append(span)
    halves = {call_id: _halves(pieces) for call_id, pieces in calls.items()}
    ids = {
        id(half): call_id if number == 0 else otlpjson.new_span_id(trace_id, call_id, number)
        for call_id, found in halves.items()
        for number, half in enumerate(found)
    }
    for call_id, found in halves.items():
        for number, half in enumerate(found):
            parent = call_id if number else _parent(half, halves, ids)
            yield _resource(half), _span(half, trace_id, ids[id(half)], parent)


def _halves(pieces: Sequence[Half]) -> list[Half]:
    """Put the pieces of one id together; the caller's half comes first, others in order of start.

    What has no start belongs to the half of the same service, else to the first; alone it stays as
    it is, and the decoder says why it can't be stored.
    """
    whole = [dict(piece) for piece in pieces if piece.get("timestamp")]
    whole.sort(key=lambda half: (bool(half.get("shared")), half["timestamp"]))
    halves: list[Half] = []
    for half in whole:
        same = next((h for h in halves if _mark(h) == _mark(half)), None)
        if same is None:
            halves.append(half)
        else:
            _add(same, half)
    for piece in pieces:
        if not piece.get("timestamp"):
            if not halves:
                halves.append(dict(piece))
                continue
            _add(next((h for h in halves if _service(h) == _service(piece)), halves[0]), piece)
    return halves


def _mark(half: Half) -> tuple[Any, ...]:
    return bool(half.get("shared")), half.get("kind"), _service(half), half.get("timestamp")


def _add(half: Half, piece: Half) -> None:
    half["tags"] = {**(piece.get("tags") or {}), **(half.get("tags") or {})}
    half["duration"] = max(half.get("duration") or 0, piece.get("duration") or 0)
    for key in ("name", "kind", "localEndpoint", "remoteEndpoint", "parentId"):
        half[key] = half.get(key) or piece.get(key)


def _parent(half: Half, halves: Mapping[str, Sequence[Half]], ids: Mapping[int, str]) -> str:
    """Return the parent's id: of two halves of a call the one of the same service."""
    if not half.get("parentId"):
        return ""
    wanted = otlpjson.span_id(half["parentId"])
    candidates = halves.get(wanted, ())
    mine = [one for one in candidates if _service(one) == _service(half)]
    begun = [one for one in mine if (one.get("timestamp") or 0) <= (half.get("timestamp") or 0)]
    # Of several halves of my service, the latest that had begun.
    best = (begun or mine)[-1:]
    return ids[id(best[0])] if best else wanted


def _resource(half: Half) -> dict[str, Any]:
    place = half.get("localEndpoint") or {}
    return {
        names.SERVICE_NAME: place.get("serviceName") or names.UNKNOWN_SERVICE,
        names.SERVICE_INSTANCE: place.get("ipv4") or place.get("ipv6"),
    }


def _service(half: Half) -> str:
    return str((half.get("localEndpoint") or {}).get("serviceName") or "")


def _span(half: Half, trace_id: str, own_id: str, parent: str) -> dict[str, Any]:
    start_us, lasted_us = int(half.get("timestamp") or 0), int(half.get("duration") or 0)
    tags = dict(half.get("tags") or {})
    kind = str(half.get("kind") or "internal").lower()
    return {
        "traceId": trace_id,
        "spanId": own_id,
        "parentSpanId": parent,
        "name": str(half.get("name") or ""),
        "kind": otlpjson.KINDS.get(kind, otlpjson.KINDS["internal"]),
        "startTimeUnixNano": str(start_us * 1000),
        "endTimeUnixNano": str((start_us + lasted_us) * 1000),
        # Any value is an error, the empty one too.
        "status": {"code": otlpjson.ERROR} if "error" in tags else {},
        "attributes": otlpjson.attributes({**tags, **_status(tags), **_peer(half)}),
    }


def _status(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Zipkin's tags are text only; the status is a number wherever else it is read."""
    told = str(tags.get(_STATUS_TAG, ""))
    return {_STATUS_TAG: int(told)} if told.isdigit() else {}


def _peer(half: Half) -> dict[str, Any]:
    place = half.get("remoteEndpoint") or {}
    if half.get("kind") not in ("CLIENT", "PRODUCER"):
        return {}
    address = place.get("serviceName") or place.get("ipv4") or place.get("ipv6")
    return {names.SERVER_ADDRESS: address, names.SERVER_PORT: place.get("port")}
