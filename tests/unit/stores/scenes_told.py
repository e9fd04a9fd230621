"""Every scene that the engine's tests write by hand, told as telemetry that a store can take.

The scenes are collected by running those tests: each cause has one with evidence that shows it and
one with its nearest confusion, and whoever adds a cause adds scenes.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any
from unittest.mock import patch

from evidence_by_hand import Scene

from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf
from why504 import names
from why504.model import Evidence, Hold, Record, Span, Stall, Vitals, Wait
from why504.stores.records import KINDS, STATUSES

_RECORDS = {Wait: names.WAIT, Hold: names.HOLD, Stall: names.STALL, Vitals: names.VITALS}


def scenes(*modules: ModuleType) -> dict[str, Evidence]:
    """Return the evidence of all scenes, by the test that wrote it."""
    found: dict[str, Evidence] = {}
    for module in modules:
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_") and test.__module__ == module.__name__:
                told = _written_by(test)
                short = module.__name__.rpartition(".")[2]
                found |= {f"{short}.{name}.{n}": one for n, one in enumerate(told)}
    return found


def _written_by(test: Callable[..., Any]) -> list[Evidence]:
    told: list[Evidence] = []
    usual = Scene.evidence

    def noted(scene: Scene) -> Evidence:
        evidence = usual(scene)
        told.append(evidence)
        return evidence

    with patch.object(Scene, "evidence", noted):
        for given in _parameters(test):
            # What the test itself says of the scene is no matter here, and fixtures are missing.
            with contextlib.suppress(Exception):
                test(**given)
    return told


def _parameters(test: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Yield what pytest would call a test with."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    for chosen in itertools.product(*(mark.args[1] for mark in marks)):
        given: dict[str, Any] = {}
        for mark, values in zip(marks, chosen, strict=True):
            wanted = mark.args[0]
            keys = [key.strip() for key in wanted.split(",")] if isinstance(wanted, str) else wanted
            plain = getattr(values, "values", values) if not isinstance(values, dict) else values
            plain = [values] if len(keys) == 1 and plain is values else plain
            given |= dict(zip(keys, plain, strict=True))
        yield given


def bodies(evidence: Evidence) -> list[bytes]:
    """Return a scene as requests of OTLP, one a process."""
    by_process: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for span in evidence.spans:
        by_process[span.service, span.instance].append(_span(span))
    for record in (*evidence.waits, *evidence.holds, *evidence.stalls, *evidence.vitals):
        by_process[record.service, record.instance].append(_record(record))
    known = {instance: service for service, instance in by_process}
    for instance, heard_ns in evidence.heard_ns.items():
        by_process[known.get(instance, "shop"), instance].append(_heard(instance, heard_ns))
    return [
        protobuf(*told, resource={names.SERVICE_NAME: service, names.SERVICE_INSTANCE: instance})
        for (service, instance), told in by_process.items()
    ]


def _span(span: Span) -> dict[str, Any]:
    attributes = {**span.attributes, **_place(span)}
    if span.end_ns is not None:
        kind, status = KINDS.index(span.kind), STATUSES.index(span.status)
        told = _told(span, span.span_id, span.name, span.end_ns, attributes)
        return {**told, "kind": kind or 1, "status": status}
    attributes |= {
        names.KIND: names.SNAPSHOT, names.SNAPSHOT_PARENT: span.parent_id or "",
        names.SNAPSHOT_KIND: span.kind, **_open(span.span_id),
    }  # fmt: skip
    own = _id(span.trace_id, span.span_id)
    told = _told(span, own, f"snapshot {span.name}", span.last_seen_ns, attributes)
    return {**told, "parent_id": bytes.fromhex(span.span_id), "kind": 1}


def _record(record: Record) -> dict[str, Any]:
    kind = _RECORDS[type(record)]
    attributes = {
        **record.attributes, **_place(record), names.KIND: kind, names.RESOURCE: record.resource,
        names.OUTCOME: record.outcome,
    }  # fmt: skip
    name = f"{kind} {record.resource}"
    if record.end_ns is not None:
        return _told(record, record.span_id, name, record.end_ns, attributes)
    own = _id(record.trace_id, record.span_id)
    attributes |= _open(record.span_id)
    return _told(record, own, name, record.last_seen_ns, attributes)


def _heard(instance: str, heard_ns: int) -> dict[str, Any]:
    """A span by which a process is heard of, and nothing else."""
    trace_id = hashlib.sha256(instance.encode()).digest()[:16]
    at_s = (heard_ns - T0_NS) / SECOND_NS
    return {
        "trace_id": trace_id, "span_id": trace_id[:8], "name": "tick", "kind": 1,
        "start_s": at_s, "end_s": at_s, "attributes": {},
    }  # fmt: skip


def _told(
    item: Span | Record, span_id: str, name: str, end_ns: int, attributes: dict[str, Any]
) -> dict[str, Any]:
    return {
        "trace_id": bytes.fromhex(item.trace_id),
        "span_id": bytes.fromhex(span_id),
        "parent_id": bytes.fromhex(item.parent_id or ""),
        "name": name,
        "kind": 1,
        "start_s": (item.start_ns - T0_NS) / SECOND_NS,
        "end_s": (end_ns - T0_NS) / SECOND_NS,
        "attributes": {key: _plain(value) for key, value in attributes.items()},
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _open(span_id: str) -> dict[str, Any]:
    return {names.SNAPSHOT_OF: span_id, names.SNAPSHOT_SEQUENCE: 1}


def _place(item: Span | Record) -> dict[str, Any]:
    told: dict[str, Any] = {names.CODE_STACKTRACE: item.stack} if item.stack else {}
    if item.site is not None:
        told |= {
            names.CODE_FILE: item.site.file, names.CODE_LINE: item.site.line,
            names.CODE_FUNCTION: item.site.function,
        }  # fmt: skip
    return told


def _id(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]


def causes(told: Iterable[Evidence]) -> set[str]:
    """Return the causes that the engine names in some scenes."""
    from why504.diagnose import explain

    return {incident.finding.cause for one in told for incident in explain(one)}
