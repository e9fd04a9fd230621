"""`make bench-tempo`: why 504, out of a million spans in a server that speaks Tempo's API.

The same made-up day (busy_day.py) is in the embedded store and in the stand-in for Tempo, which is
a process of its own and is asked over HTTP. Judged are the number of requests, which is what an
explanation costs whoever runs Tempo, and that the verdict is the embedded store's. The time is told
only: the stand-in is a program in Python that scans, and no measure of Tempo's own speed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench import busy_day
from lab.faults import ROOT
from lab.prove.verdict import Check, Journal, Verdict, publish
from lab.stack.ports import free_port
from lab.stack.process import Program, start
from lab.stack.ready import answers
from why504.diagnose import explain
from why504.model import Incident, Window
from why504.stores.access import TempoSettings
from why504.stores.parquet import ParquetStore
from why504.stores.tempo.client import Client
from why504.stores.tempo.store import TempoStore

SPANS: Final = 1_000_000
VICTIMS: Final = 10_000
MOST_REQUESTS: Final = 200
MOST_BYTES: Final = 128 * 2**20
MOST_APART: Final = 0.15
"""A cause's share of the lost time, in one store and in the other: brief holds are passed over."""
_LOADING_S: Final = 600.0
_LATER_NS: Final = 600 * 10**9


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when every figure meets its target."""
    parser = argparse.ArgumentParser(prog="python -m bench.tempo", description=__doc__)
    parser.add_argument("--spans", type=int, default=SPANS, help="Of the day; fewer is a rehearsal")
    parser.add_argument("--serve", nargs=2, metavar=("FOLDER", "PORT"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve:
        return _serve(Path(given.serve[0]), int(given.serve[1]))
    began_s = time.monotonic()
    verdict = Verdict("bench-tempo")
    with tempfile.TemporaryDirectory(prefix="why504-bench-") as folder:
        _compare(Path(folder), verdict, given.spans)
    rehearsal = given.spans < SPANS
    return publish(verdict, duration_s=time.monotonic() - began_s, rehearsal=rehearsal)


def _serve(folder: Path, port: int) -> int:
    """Serve what a folder holds, as Tempo does, until a signal comes."""
    import uvicorn

    from lab.standins.tempo import build_app
    from lab.standins.tempofill import tempo_with

    app = build_app(tempo_with(folder))
    app.state.behaviour.lag_s = 0.0
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
    return 0


def _compare(folder: Path, verdict: Verdict, spans: int) -> None:
    say = Journal()
    say(f"{spans:,} spans: writing the day")
    busy_day.write(folder, spans, VICTIMS)
    embedded = ParquetStore(folder)
    window = embedded.extent()
    assert window is not None  # noqa: S101 - just written
    with _served(folder, say) as address:
        settings = TempoSettings()
        client = Client(address, settings)
        tempo = TempoStore(client, settings, now_ns=lambda: window.end_ns + _LATER_NS)
        say("explaining it out of the server")
        found, took_s = _explained(tempo, window)
        say("explaining it out of the embedded store")
        expected, baseline_s = _explained(embedded, window)
    _judge(verdict, found, expected)
    verdict.checks += [
        Check("requests", client.requests, MOST_REQUESTS),
        Check("bytes read", client.bytes_read, MOST_BYTES, "B"),
        Check("to ranked causes (a stand-in: told only)", took_s, None, "s", baseline_s),
    ]
    verdict.facts["spans"] = spans


def _judge(verdict: Verdict, found: Sequence[Incident], expected: Sequence[Incident]) -> None:
    alike = sum(_said(one) == _said(other) for one, other in zip(found, expected, strict=False))
    apart = max(
        (
            abs(one.finding.confidence - other.finding.confidence)
            for one, other in zip(found, expected, strict=False)
        ),
        default=1.0,
    )
    right = sum(one.finding.cause == busy_day.CAUSE for one in found)
    count = sum(one.count for one in found)
    counted = sum(one.count for one in expected)
    verdict.checks += [
        Check("incidents named as in the embedded store", alike, len(expected), at_least=True),
        Check(f"incidents named {busy_day.CAUSE}, as it was", right, 2, at_least=True),
        Check("victims counted", count, VICTIMS, "", counted, at_least=True),
        Check("a cause's share of the lost time, apart", apart, MOST_APART),
    ]


def _said(incident: Incident) -> tuple[Any, ...]:
    finding = incident.finding
    # The embedded store's sample need not have the first victim, after whom an incident is named.
    return incident.count, finding.cause, finding.mechanism, finding.site


def _explained(
    store: ParquetStore | TempoStore, window: Window
) -> tuple[Sequence[Incident], float]:
    began_s = time.perf_counter()
    incidents = explain(store.sample(window))
    return incidents, time.perf_counter() - began_s


@contextmanager
def _served(folder: Path, say: Journal) -> Iterator[str]:
    """Serve a folder from a process of its own; yield the address."""
    port = free_port()
    say("loading it into a server (2 min)")
    address = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "bench.tempo", "--serve", str(folder), str(port)]
    program = Program(argv, "tempo", folder, {"PYTHONPATH": str(ROOT)})
    process = start(program, ready=answers(f"{address}/ready"), timeout_s=_LOADING_S)
    try:
        yield address
    finally:
        process.kill()


if __name__ == "__main__":
    sys.exit(main())
