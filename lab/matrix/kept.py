"""What is kept of a run so that it can be scored again: a small folder, see `keep`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from lab.load import Summary
from lab.matrix.stored import OURS, STOCK
from lab.score import Verdict
from why504 import tables

COURSE: Final = "course.json"
LEVEL: Final = 9
"""Of zstd: hundreds of runs are kept, and each is written once."""


@dataclass(frozen=True, slots=True)
class Course:
    """What can't be read from the two stores."""

    fault: str
    under: str
    seed: int
    expected: Verdict
    """As it was when the run was played: lines of the source move, those in its spans don't."""
    clients: Summary
    gateway_504: tuple[str, ...]
    """Trace ids, by the gateway's own log."""
    verdict_after_s: float | None
    duration_s: float
    played_at: str
    """See `lab.matrix.commit`."""


def keep(run: Path, kept: Path, course: Course) -> None:
    """Write `course.json` and both stores, each one Parquet file, from one folder to another.

    The receivers must have ended: what they merge meanwhile would be there twice.
    """
    for name in (OURS, STOCK):
        _write_one_segment(run / name / "segments", kept / name / "segments")
    document = json.dumps(asdict(course), indent=2)
    (kept / COURSE).write_text(document, encoding="utf-8")


def is_kept(kept: Path) -> bool:
    """Tell whether a folder holds a run to its end: the course is what is written last."""
    return (kept / COURSE).is_file()


def course_of(kept: Path) -> Course:
    """Return the course of a run that was kept."""
    told = json.loads((kept / COURSE).read_text(encoding="utf-8"))
    clients = told["clients"]
    # JSON has no numbers as keys.
    clients["statuses"] = {int(status): count for status, count in clients["statuses"].items()}
    return Course(
        **{
            **told,
            "expected": Verdict(**told["expected"] | {"also": tuple(told["expected"]["also"])}),
            "clients": Summary(**clients),
            "gateway_504": tuple(told["gateway_504"]),
        }
    )


def _write_one_segment(segments: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    paths = sorted(segments.glob(tables.SEGMENT_GLOB))
    if not paths:
        return
    table = pa.concat_tables([pq.read_table(path) for path in paths]).unify_dictionaries()
    pq.write_table(
        table.replace_schema_metadata(None).sort_by("start_ns"),
        target / f"{paths[-1].stem}.parquet",
        compression="zstd",
        compression_level=LEVEL,
    )
