"""Traces out of files, of whichever format, into the store: the same way as over the network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from why504.errors import NotOtlp, UnknownFormat
from why504.receive.body import protobuf_from
from why504.receive.decode import Decoder
from why504.receive.formats import jaeger, otlp, zipkin
from why504.receive.formats.otlpjson import Request
from why504.receive.spool import Spool

Reader = tuple[str, Callable[[Any], bool], Callable[[Any], Iterator[Request]]]
READERS: Final[tuple[Reader, ...]] = (
    ("OTLP/JSON", otlp.is_otlp, otlp.requests),
    ("Zipkin v2", zipkin.is_zipkin, zipkin.requests),
    ("Jaeger JSON", jaeger.is_jaeger, jaeger.requests),
)
"""Name, whether a document is of that format, and how it is read."""


@dataclass(slots=True)
class Imported:
    """What came out of one file."""

    format: str
    spans: int = 0
    traces: set[bytes] = field(default_factory=set)
    services: set[str] = field(default_factory=set)
    start_ns: int = 0
    end_ns: int = 0
    rejected: int = 0
    reason: str = ""
    """Why the first span was rejected, for people; empty when none was."""


def import_file(
    path: Path, spool: Spool, progress: Callable[[int], None] = lambda spans: None
) -> Imported:
    """Store the spans of a file; durable when this returns. Again does no harm.

    Args:
        path: Jaeger JSON, Zipkin v2, or OTLP/JSON: one document, or one a line.
        spool: of the store.
        progress: called after each trace or line, with the number of spans so far.

    Raises:
        UnknownFormat: none of these, or not JSON; says what to export instead.
        StoreUnavailable: the store can't be written to now.
    """
    imported = Imported("")
    decoder = Decoder()
    for imported.format, request in _requests(path):
        _store(request, decoder, spool, imported)
        progress(imported.spans)
    return imported


def _requests(path: Path) -> Iterator[tuple[str, Request]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnknownFormat(f"can't read {path}: {error}") from error
    for document in _documents(text, path):
        reader = next((reader for reader in READERS if reader[1](document)), None)
        if reader is None:
            raise UnknownFormat(
                f"{path} has no traces that why504 knows how to read. Export them as OTLP/JSON "
                "(collector's file exporter), Jaeger JSON (/api/traces/<id>) or Zipkin v2 "
                "(/api/v2/trace/<id>)"
            )
        try:
            yield from ((reader[0], request) for request in reader[2](document))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnknownFormat(f"{path} begins like {reader[0]}, but: {error!r}") from error


def _documents(text: str, path: Path) -> Iterator[Any]:
    """Yield the one document of a file, or one of each line."""
    try:
        yield json.loads(text)
        return
    except (ValueError, RecursionError) as error:
        failure = error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                told = failure if number == 1 else error
                raise UnknownFormat(f"{path}, line {number} is no JSON: {told}") from error


def _store(request: Request, decoder: Decoder, spool: Spool, imported: Imported) -> None:
    body = protobuf_from(request)
    try:
        batch = decoder.decode(body)
    except NotOtlp as error:
        # Not a span of it is valid: the others of the file may be.
        imported.rejected += sum(
            len(scope["spans"]) for one in request["resourceSpans"] for scope in _scopes(one)
        )
        imported.reason = imported.reason or str(error)
        return
    imported.rejected += batch.rejected
    imported.reason = imported.reason or batch.reason
    if len(batch):
        spool.add(body, batch).result()
        starts_ns, ends_ns = batch.rows["start_ns"], batch.rows["end_ns"]
        imported.spans += len(batch)
        imported.traces.update(trace_id.tobytes() for trace_id in batch.rows["trace_id"])
        imported.services.update(resource.service for resource, rows in batch.resources if rows)
        first_ns = int(starts_ns.min())
        imported.start_ns = min(imported.start_ns or first_ns, first_ns)
        imported.end_ns = max(imported.end_ns, int(ends_ns.max()))


def _scopes(resource: Any) -> list[Any]:
    scopes = resource.get("scopeSpans") or resource.get("scope_spans") or []
    return [scope for scope in scopes if scope.get("spans")]
