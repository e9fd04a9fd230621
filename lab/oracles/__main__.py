"""Compares the classic critical paths with their authors' answers: `make oracles`.

The traces are third parties' and stay outside of this repository: `--data` says where. Each goes
through the importer and the decoder, as a user's file would. Exit code 0 = all equal.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from lab.faults import ROOT
from lab.prove.verdict import Check, Verdict, publish
from why504.diagnose.classic.crisp import crisp_path
from why504.diagnose.classic.jaeger import jaeger_sections
from why504.model import Span, Window
from why504.receive.body import protobuf_from
from why504.receive.decode import Decoder
from why504.receive.formats import jaeger
from why504.receive.formats.otlpjson import span_id
from why504.receive.pairs import Pairs
from why504.receive.table import table
from why504.stores.records import Row, evidence

SHIFT_US: Final = 1_000_000
"""The traces begin at 0, which OTLP takes for "no time": all of them are moved by a second."""
DATA: Final = ROOT.parent / "shared" / "data" / "critical-path"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when every case gives its author's answer."""
    parser = argparse.ArgumentParser(prog="python -m lab.oracles", description=__doc__)
    data = Path(os.environ.get("WHY504_ORACLES", DATA))
    parser.add_argument("--data", type=Path, default=data, help="folder with crisp/, jaeger-ui/")
    folder = parser.parse_args(arguments).data
    if not (folder / "crisp" / "expected.json").is_file():
        Console(stderr=True).print(f"why504: no oracles in {folder}; say where: --data FOLDER")
        return 2
    began_s = time.monotonic()
    verdict = Verdict("oracles")
    for name, check in (("crisp", crisp_differs), ("jaeger-ui", jaeger_differs)):
        cases = json.loads((folder / name / "expected.json").read_text(encoding="utf-8"))["cases"]
        wrong = [case["file"] for case in cases if check(folder / name / case["file"], case)]
        equal = len(cases) - len(wrong)
        verdict.checks.append(Check(f"{name}: cases equal", equal, len(cases), at_least=True))
        verdict.facts[f"{name}: different"] = wrong
    return publish(verdict, duration_s=time.monotonic() - began_s, rehearsal=False)


def crisp_differs(file: Path, case: Mapping[str, Any]) -> bool:
    """Return whether CRISP's path of a trace is another than its author's."""
    exclude = [(service, operation) for service, operation in case["options"]["exclude"]]
    found = crisp_path(spans_of(file), (case["service"], case["operation"]), exclude)
    times = {
        way: {
            "inclusive_us": path.inclusive_ns // 1000,
            "exclusive_us": path.exclusive_ns // 1000,
            "count": path.count,
        }
        for way, path in found.items()
    }
    return bool(times != case["critical_path"])


def jaeger_differs(file: Path, case: Mapping[str, Any]) -> bool:
    """Return whether Jaeger UI's sections of a trace are others than its author's."""
    found = [
        (section.span.span_id, section.start_ns // 1000, section.end_ns // 1000)
        for section in jaeger_sections(spans_of(file))
    ]
    return found != [
        (span_id(one["spanId"]), one["section_start"] + SHIFT_US, one["section_end"] + SHIFT_US)
        for one in case["sections"]
    ]


def spans_of(file: Path) -> list[Span]:
    """Return the spans of a Jaeger file, in its order."""
    document = json.loads(file.read_text(encoding="utf-8"))
    traces = document.get("data", [document])
    order: dict[str, int] = {}
    for span in (span for trace in traces for span in trace["spans"]):
        span["startTime"] += SHIFT_US
        order.setdefault(span_id(span["spanID"]), len(order))
    rows: list[tuple[Any, ...]] = []
    for request in jaeger.requests(document):
        batch = Decoder().decode(protobuf_from(request))
        columns = table([batch], Pairs()).to_pydict()
        rows += zip(*(columns[name] for name in Row._fields), strict=True)
    told = evidence(rows, Window(0, 0), {})
    return sorted(told.spans, key=lambda span: order[span.span_id])


if __name__ == "__main__":
    sys.exit(main())
