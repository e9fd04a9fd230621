"""How fast the live view follows a store: `make bench-live`.

10,000 requests are open, all told anew each second (the probe tells them at growing intervals, so
this is more than it sends), after fifteen minutes of a moderately busy service. Baseline: the same
window read and merged anew and explained, in the same run. Exit code 0 = within the target, on the
machine that it was set for: docs/adr/0012.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import pyarrow as pa

from bench import yardstick
from lab.prove.verdict import Check, Journal, Verdict, publish
from why504 import names
from why504.diagnose.engine import explain
from why504.diagnose.kept import KEEP_NS
from why504.diagnose.live import SLOW_S
from why504.diagnose.now import Now
from why504.model import Incident, Window
from why504.receive.segments import Segments
from why504.receive.table import schema
from why504.stores.following import Following
from why504.stores.parquet import ParquetStore

TARGET_S: Final = 1.0
SECOND: Final = 1_000_000_000
HISTORY_S: Final = 900
POOL: Final = 20
"""Connections of each worker process."""
WORKERS: Final = 4
PER_SECOND: Final = 30
"""Requests that are answered in a second, with a gateway's span and two queries each."""
_STACK: Final = "\n".join(f'File "service/layer_{n}.py", line {n}, in step_{n}' for n in range(12))


class Writer:
    """Writes a service's telemetry, second by second, as the receiver does."""

    def __init__(self, folder: Path, open_requests: int) -> None:
        self._segments = Segments(folder / "segments")
        self._open = open_requests
        self._ids = random.Random(504)  # noqa: S311 - ids, not secrets
        self._number = 0
        self._requests = [self._request(n) for n in range(open_requests)]

    def history(self, begun_ns: int) -> None:
        """Write fifteen minutes of requests that were answered, ten seconds a segment."""
        for second in range(0, HISTORY_S, 10):
            rows = [r for s in range(10) for r in self._answered(begun_ns + (second + s) * SECOND)]
            self.write(rows)

    def second(self, now_ns: int, sequence: int) -> int:
        """Write one second of the hang: everything that is open again; return the rows."""
        rows = [row for one in self._requests for row in self._told(one, now_ns, sequence)]
        rows += self._answered(now_ns - SECOND)
        self.write(rows)
        return len(rows)

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Make rows one segment, and merge as the receiver does."""
        self._number += 1
        table = pa.Table.from_pylist(list(rows), schema=schema())
        self._segments.write_table(f"{self._number:08}", table)
        while self._segments.compact(f"{self._number:08}-merged"):
            pass

    def _request(self, number: int) -> dict[str, bytes]:
        parts = ("trace", "gateway", "server", "inner", "record")
        told = {part: self._ids.randbytes(16 if part == "trace" else 8) for part in parts}
        return {**told, "number": number.to_bytes(4, "big")}

    def _told(self, one: dict[str, bytes], now_ns: int, sequence: int) -> Iterator[dict[str, Any]]:
        """Yield what the probe tells of one open request: itself, and what it waits for or has."""
        number = int.from_bytes(one["number"], "big")
        start_ns = now_ns - sequence * SECOND - (self._open - number) * 2_000_000
        worker = _worker(one)
        line = {names.CODE_FILE: "service/routes.py", names.CODE_LINE: 40 + number % 30,
                names.CODE_FUNCTION: "handle", names.CODE_STACKTRACE: _STACK}  # fmt: skip
        served = {names.HTTP_METHOD: "POST", names.HTTP_ROUTE: f"/v1/route/{number % 40}",
                  names.SERVER_PORT: 8000, **line}  # fmt: skip
        yield self._snapshot(one, "server", "gateway", "server", start_ns, now_ns, sequence, served)
        held = number < POOL * WORKERS
        record = names.HOLD if held else names.WAIT
        attributes = {names.OUTCOME: names.OPEN, **line}
        if not held:
            attributes |= {names.POOL_CAPACITY: POOL, names.POOL_IN_USE: POOL}
        yield {
            **self._row(one["trace"], one["server"], start_ns + 1_000_000, now_ns),
            "name": f"{record} db.pool:main", "record": record, "resource": "db.pool:main",
            "snapshot_of": one["record"], "sequence": sequence, "instance": worker,
            "attributes": json.dumps(attributes),
        }  # fmt: skip
        if held:
            called = {names.GEN_AI_PROVIDER: "groq", names.GEN_AI_MODEL: "llama", **line}
            yield self._snapshot(
                one, "inner", "server", "client", start_ns + 2_000_000, now_ns, sequence, called
            )

    def _snapshot(  # noqa: PLR0913, PLR0917 - a row has as many columns
        self, one: dict[str, bytes], part: str, parent: str, kind: str, start_ns: int,
        now_ns: int, sequence: int, attributes: dict[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        told = {
            **attributes,
            names.SNAPSHOT_PARENT: one[parent].hex(),
            names.SNAPSHOT_KIND: kind,
            names.INFLIGHT_AGE_S: (now_ns - start_ns) / 1e9,
        }
        return {
            **self._row(one["trace"], one[part], start_ns, now_ns),
            "name": f"snapshot {part}", "record": names.SNAPSHOT, "snapshot_of": one[part],
            "sequence": sequence, "attributes": json.dumps(told), "instance": _worker(one),
        }  # fmt: skip

    def _answered(self, at_ns: int) -> list[dict[str, Any]]:
        rows = []
        for n in range(PER_SECOND):
            trace, gateway, server = (self._ids.randbytes(size) for size in (16, 8, 8))
            start_ns = at_ns + n * SECOND // PER_SECOND
            route = f"/v1/route/{n % 40}"
            rows.append({
                **self._row(trace, None, start_ns, start_ns + 90_000_000), "span_id": gateway,
                "name": f"POST {route}", "kind": 2, "service": names.GATEWAY_SERVICE,
                "instance": "gateway-1", "http_status": 200,
            })  # fmt: skip
            served = {names.HTTP_METHOD: "POST", names.HTTP_ROUTE: route, names.SERVER_PORT: 8000}
            rows.append({
                **self._row(trace, gateway, start_ns + 1_000_000, start_ns + 89_000_000),
                "span_id": server, "name": f"POST {route}", "kind": 2, "http_status": 200,
                "attributes": json.dumps(served),
            })  # fmt: skip
            rows += [{
                **self._row(trace, server, start_ns + q * 20_000_000, start_ns + q * 30_000_000),
                "name": "SELECT users", "kind": 3,
                "attributes": json.dumps({names.DB_SYSTEM: "postgresql"}),
            } for q in (1, 2)]  # fmt: skip
        return rows

    def _row(
        self, trace: bytes, parent: bytes | None, start_ns: int, end_ns: int
    ) -> dict[str, Any]:
        return {
            "trace_id": trace, "span_id": self._ids.randbytes(8), "parent_id": parent,
            "kind": 1, "start_ns": start_ns, "end_ns": end_ns, "status": 0, "service": "shop",
            "instance": "shop-0", "attributes": "{}", "resource_attributes": "{}",
        }  # fmt: skip


def _worker(one: dict[str, bytes]) -> str:
    return f"shop-{int.from_bytes(one['number'], 'big') % WORKERS}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when every update was fast enough."""
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--open", type=int, default=10_000, help="requests that are open")
    parser.add_argument("--updates", type=int, default=20, help="segments to follow")
    given = parser.parse_args(arguments)
    say = Journal()
    with tempfile.TemporaryDirectory() as folder:
        verdict = measure(Path(folder), given.open, given.updates, say)
    return publish(verdict, duration_s=say.elapsed_s, rehearsal=given.open < 10_000)


def measure(folder: Path, open_requests: int, updates: int, say: Journal) -> Verdict:
    """Return what following a store costs, beside reading it anew."""
    writer = Writer(folder, open_requests)
    now_ns = time.time_ns()
    writer.history(now_ns - HISTORY_S * SECOND)
    say(f"history of {HISTORY_S} s written")
    rows = writer.second(now_ns, 1)
    following = Following(ParquetStore(folder))
    first_s, _ = timed(lambda: following.look(now_ns))
    say(f"first look in {first_s:.2f} s")
    lengths_s, cpu_s = [], []
    for sequence in range(2, updates + 2):
        at_ns = now_ns + (sequence - 1) * SECOND
        rows = writer.second(at_ns, sequence)
        begun_s = time.thread_time()
        took_s, now = timed(lambda at_ns=at_ns: following.look(at_ns))
        lengths_s.append(took_s)
        cpu_s.append(time.thread_time() - begun_s)
    say(f"{updates} updates, half of them within {median(lengths_s):.2f} s")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    window = Window(at_ns - KEEP_NS, at_ns + 1)
    anew_s, whole = timed(
        lambda: explain(ParquetStore(folder).evidence(window), slower_than_s=SLOW_S)
    )
    say(f"read and explained anew in {anew_s:.2f} s")
    machine = yardstick.machine()
    verdict = Verdict("bench-live")
    verdict.checks = [
        *yardstick.seconds(
            "update after a segment, p50", median(lengths_s), TARGET_S, machine, anew_s
        ),
        *yardstick.seconds(
            "update after a segment, longest", max(lengths_s), TARGET_S, machine, anew_s
        ),
        Check("processor time of an update, p50", median(cpu_s), None, "s"),
        *checked(now, whole, open_requests),
    ]
    verdict.facts = {
        "speed of this machine, 1 = the targets'": round(machine, 2),
        "rows of a segment": rows,
        "first look, s": round(first_s, 2),
        "each update, s": [round(length_s, 2) for length_s in lengths_s],
        "kept items": now.kept,
        "dropped items": now.dropped,
        "victims": now.victims,
        "explained": now.explained,
        "peak memory before the baseline, MB (the writer's included)": round(peak_mb),
    }
    return verdict


def checked(now: Now, whole: Sequence[Incident], open_requests: int) -> Iterator[Check]:
    """Yield whether the view says what is so, and the cause that all the evidence gives."""
    pools = [busy for busy in now.resources if busy.resource == "db.pool:main"]
    waiters, units = sum(pool.waiters for pool in pools), sum(pool.units for pool in pools)
    causes = {incident.finding.cause for incident in now.incidents}
    same = causes == {incident.finding.cause for incident in whole}
    yield Check("open requests told", len(now.open), open_requests, at_least=True)
    yield Check("waiters of the pools", waiters, open_requests - POOL * WORKERS, at_least=True)
    yield Check("connections held", units, POOL * WORKERS, at_least=True)
    yield Check("same cause as anew", float(same), 1, at_least=True)


def timed(work: Any) -> tuple[float, Any]:
    """Return how long something took, and what it returned."""

    begun_s = time.perf_counter()
    result = work()
    return time.perf_counter() - begun_s, result


if __name__ == "__main__":
    sys.exit(main())
