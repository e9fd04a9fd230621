"""`make bench-receive`: OTLP over HTTP into durable Parquet, beside a plain loop over all spans.

Speed is spans a second of the receiver's CPU time, all its threads on one processor and the client
on the others: on two threads of one core it would take longer. A run is too short for a merge, so
the speed with one is computed. Everything is done several times and the best counts, of the plain
loop too: other guests of a machine only ever slow a run down. What is judged is the speed on the
machine that the targets were set for, by that loop: docs/adr/0012.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from bench import otlp, yardstick
from bench.otlp import SPANS
from lab.prove.verdict import Check, Verdict, publish
from why504.receive.decode import Decoder
from why504.receive.segments import FAN_IN, Segments

REQUESTS: Final = 400
SPANS_PER_S: Final = 150_000
COMPACTED_PER_S: Final = 500_000
BYTES_PER_SPAN: Final = 35
ROUNDS: Final = 5


def main() -> int:
    """Return 0 when every figure meets its target."""
    began_s = time.monotonic()
    numbers = random.Random(504)  # noqa: S311 - a payload, no secret
    verdict = Verdict("bench-receive")
    print(f"encoding {REQUESTS} requests of {SPANS} spans ...", file=sys.stderr)
    bodies = [otlp.request(numbers, second) for second in range(REQUESTS)]
    bare = [otlp.request(numbers, second, attributes=False) for second in range(FAN_IN * 4)]
    plain = yardstick.plain_loop(bodies)
    machine = yardstick.speed(plain)
    with tempfile.TemporaryDirectory(prefix="why504-bench-") as folder:
        received, lasting = _received(bodies, Path(folder) / "store")
        compacted, size = _compacted(bodies, bare, Path(folder))
    verdict.checks = [
        Check("spans/s of one core, HTTP to Parquet, here", received, None, baseline=plain),
        Check("... on the targets' machine", received / machine, SPANS_PER_S, at_least=True,
              baseline=plain / machine),
        Check("... with one merge of each span, here", 1 / (1 / received + 1 / compacted), None),
        Check("spans/s of the clock, one client, here", lasting, None),
        Check("rows/s compacted, here", compacted, None),
        Check("... on the targets' machine", compacted / machine, COMPACTED_PER_S, at_least=True),
        Check("bytes/span without attributes", size, BYTES_PER_SPAN, "B"),
    ]  # fmt: skip
    verdict.facts = {
        "speed of this machine, 1 = the targets'": round(machine, 2),
        "bytes a span on the wire": sum(map(len, bodies)) / (REQUESTS * SPANS),
        "baseline": "upb, a loop over all spans, attributes as JSON, one Parquet file; no HTTP",
    }
    return publish(verdict, duration_s=time.monotonic() - began_s, rehearsal=False)


def _received(bodies: Sequence[bytes], store: Path) -> tuple[float, float]:
    """Return how many spans the real receiver takes a second of one core, and of the clock.

    Counts only when all of them can be read.
    """
    command = [sys.executable, "-m", "why504.cli", "receive", "--store", str(store), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = _port(process)
        _on_one_core(process.pid)
        _post(port, bodies[:20])
        _until_readable(store, 20 * SPANS)  # whatever is set up once is set up now
        rounds = [_round(process.pid, port, bodies, store, n) for n in range(ROUNDS)]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    spans = len(bodies) * SPANS
    return spans / min(used for used, _ in rounds), spans / min(lasted for _, lasted in rounds)


def _round(
    pid: int, port: int, bodies: Sequence[bytes], store: Path, before: int
) -> tuple[float, float]:
    """Return the receiver's CPU seconds for all bodies, and those of the clock."""
    used_s, began_s = _cpu_s(pid), time.monotonic()
    _post(port, bodies)
    lasted_s = time.monotonic() - began_s
    _until_readable(store, (len(bodies) * (before + 1) + 20) * SPANS)
    return _cpu_s(pid) - used_s, lasted_s


def _on_one_core(pid: int) -> None:
    """Give a process, and each thread that it has or starts, one processor; us the others."""
    if hasattr(os, "sched_setaffinity"):
        mine, *others = sorted(os.sched_getaffinity(0))
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {mine})
        os.sched_setaffinity(0, set(others) or {mine})


def _port(process: subprocess.Popen[str]) -> int:
    stdout = process.stdout
    for line in stdout or ():
        for word in line.replace("/", " ").split():
            if word.rpartition(":")[2].isdigit() and ":" in word:
                return int(word.rpartition(":")[2])
    raise SystemExit("the receiver did not start")


def _post(port: int, bodies: Sequence[bytes]) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    for body in bodies:
        connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"the receiver answered {answer.status}")
    connection.close()


def _until_readable(store: Path, spans: int) -> None:
    deadline_s = time.monotonic() + 60
    while (rows := _rows(store / "segments")) != spans:
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{rows} of {spans} spans are readable")
        time.sleep(0.1)


def _rows(segments: Path) -> int:
    try:
        return sum(pq.read_metadata(file).num_rows for file in segments.glob("*.parquet"))
    except OSError:
        return 0  # merged meanwhile


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _compacted(bodies: Sequence[bytes], bare: Sequence[bytes], folder: Path) -> tuple[float, float]:
    """Return the rows a second that are merged, and the bytes a span without attributes."""
    _merge(Segments(folder / "first"), bodies[:FAN_IN])
    used_s = min(
        _merge(Segments(folder / f"told-{n}"), bodies[: FAN_IN * 16]) for n in range(ROUNDS)
    )
    small = Segments(folder / "bare")
    _merge(small, bare)
    (merged,) = small.all()
    return FAN_IN * 16 * SPANS / used_s, merged.size / merged.rows


def _merge(segments: Segments, bodies: Sequence[bytes]) -> float:
    decoder = Decoder()
    each = len(bodies) // FAN_IN
    for number in range(FAN_IN):
        mine = bodies[number * each : (number + 1) * each]
        segments.write(f"{number:020d}", [decoder.decode(body) for body in mine])
    began_s = time.process_time()
    segments.compact(f"{FAN_IN:020d}")
    return time.process_time() - began_s


if __name__ == "__main__":
    sys.exit(main())
