"""How fast this machine is, against the one that the speeds to be shown were set for.

The yardstick is a plain loop over spans, decoded as one would write it first: docs/adr/0012.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench import otlp
from lab.prove.verdict import Check

REFERENCE_PER_S: Final = 144_000
"""Spans a second of the plain loop where the targets were set."""
ROUNDS: Final = 5
_REQUESTS: Final = 60


def machine() -> float:
    """Return the speed of this machine, 1.0 where the targets were set; takes ten seconds.

    At most 1.0: a faster machine has to show no more.
    """
    return speed(plain_loop(payload()))


def payload() -> list[bytes]:
    """Return what the plain loop decodes: a minute's export requests."""
    numbers = random.Random(504)  # noqa: S311 - a payload, no secret
    return [otlp.request(numbers, second) for second in range(_REQUESTS)]


def speed(spans_per_s: float) -> float:
    """Return the same of what the plain loop did."""
    return min(1.0, spans_per_s / REFERENCE_PER_S)


def seconds(
    what: str, measured_s: float, target_s: float, machine: float, baseline_s: float | None
) -> list[Check]:
    """Return a time as it was here, for people, and as it would be there, to be judged."""
    return [
        Check(f"{what}, here", measured_s, None, "s", baseline_s),
        Check("... on the targets' machine", measured_s * machine, target_s, "s"),
    ]


def plain_loop(bodies: Sequence[bytes], rounds: int = ROUNDS) -> float:
    """Return the spans a second of CPU time, the best of some rounds."""
    with tempfile.TemporaryDirectory(prefix="why504-bench-") as folder:
        file = Path(folder) / "plain.parquet"
        _round(bodies[:1], file)  # whatever is imported once is now
        return max(_round(bodies, file) for _ in range(rounds))


def _round(bodies: Sequence[bytes], file: Path) -> float:
    rows: list[dict[str, Any]] = []
    began_s = time.process_time()
    for body in bodies:
        for told in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in told.scope_spans:
                for span in scope.spans:
                    pairs = {one.key: _plain(one.value) for one in span.attributes}
                    rows.append(
                        {
                            "trace_id": span.trace_id,
                            "span_id": span.span_id,
                            "parent_id": span.parent_span_id,
                            "name": span.name,
                            "kind": span.kind,
                            "start_ns": span.start_time_unix_nano,
                            "end_ns": span.end_time_unix_nano,
                            "attributes": json.dumps(pairs),
                        }
                    )
    pq.write_table(pa.Table.from_pylist(rows), file, compression="zstd")
    return len(rows) / (time.process_time() - began_s)


def _plain(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
