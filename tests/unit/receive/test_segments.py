import importlib.util
import logging
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf, span
from why504 import tables
from why504.receive.decode import Decoder
from why504.receive.segments import FAN_IN, PARTIAL, Retention, Segments
from why504.receive.table import schema

ROOT = Path(__file__).parents[3]


@pytest.fixture
def segments(tmp_path):
    return Segments(tmp_path / "segments")


def write(segments: Segments, name: str, *spans) -> None:
    segments.write(name, [Decoder().decode(protobuf(*spans))])


def names(segments: Segments) -> list[str]:
    query = "SELECT name FROM read_parquet(?) ORDER BY name"
    with duckdb.connect() as database:
        rows = database.execute(query, [str(segments.folder / tables.SEGMENT_GLOB)]).fetchall()
    return [name for (name,) in rows]


def files(segments: Segments) -> list[str]:
    return sorted(path.name for path in segments.folder.iterdir())


def test_a_segment_has_the_columns_of_the_table_and_is_sorted_by_start(segments):
    write(segments, "a", span(start_s=2), span(start_s=1), span(start_s=3))

    table = pq.read_table(segments.folder / "a.parquet")

    assert table.schema.equals(schema())
    starts_ns = table.column("start_ns").to_pylist()
    assert starts_ns == [T0_NS + n * SECOND_NS for n in (1, 2, 3)]


def test_writing_a_segment_again_replaces_it(segments):
    write(segments, "a", span(name="x"))
    write(segments, "a", span(name="y"))

    assert (files(segments), names(segments)) == (["a.parquet"], ["y"])


def test_many_small_segments_become_one_with_every_row(segments):
    for number in range(FAN_IN):
        attributes = {"n": number, "why504.kind": "wait" if number % 2 else "hold"}
        write(segments, f"{number:02}", span(name=f"{number:02}", attributes=attributes))

    assert segments.compact("merged")

    assert files(segments) == ["merged.parquet"]
    assert names(segments) == [f"{number:02}" for number in range(FAN_IN)]
    assert pq.read_table(segments.folder / "merged.parquet").schema.equals(schema())
    assert not segments.compact("again")


def test_a_merged_segment_is_merged_again_with_its_likes_only(segments):
    for generation in range(3):
        for number in range(FAN_IN):
            write(segments, f"{generation}-{number:02}", span())
        segments.compact(f"merged-{generation}")
    write(segments, "9", span())

    assert not segments.compact("more")
    assert files(segments) == ["9.parquet", *(f"merged-{n}.parquet" for n in range(3))]


def test_few_segments_are_left_alone(segments):
    for number in range(FAN_IN - 1):
        write(segments, str(number), span())

    assert not segments.compact("merged")
    assert len(files(segments)) == FAN_IN - 1


def test_a_segment_that_is_not_parquet_is_left_alone_and_hides_nothing(segments, caplog):
    caplog.set_level(logging.WARNING)
    (segments.folder / "00.parquet").write_bytes(b"garbage")
    (segments.folder / "01.parquet").write_bytes(b"")
    for number in range(FAN_IN):
        write(segments, f"a{number:02}", span())

    assert segments.compact("merged")

    assert files(segments) == ["00.parquet", "01.parquet", "merged.parquet"]
    assert "00.parquet" in caplog.text


def test_half_written_segments_are_cleared_away_at_the_start(tmp_path):
    (tmp_path / f"a{PARTIAL}").write_bytes(b"half")

    assert files(Segments(tmp_path)) == []


def test_segments_go_once_their_newest_span_is_too_old(segments):
    write(segments, "old", span(end_s=1), span(end_s=10))
    write(segments, "new", span(end_s=1), span(end_s=100))

    gone = segments.retain(Retention(max_age_s=60), T0_NS + 101 * SECOND_NS)

    assert (gone, files(segments)) == (1, ["new.parquet"])


def test_the_oldest_segments_go_when_there_are_too_many_bytes(segments):
    for name, end_s in (("a", 30), ("b", 10), ("c", 20)):
        write(segments, name, span(end_s=end_s))
    size = sum(path.stat().st_size for path in segments.folder.iterdir())

    segments.retain(Retention(max_bytes=size - 1), T0_NS)

    assert files(segments) == ["a.parquet", "c.parquet"]


def test_nothing_goes_while_both_bounds_are_met(segments):
    write(segments, "a", span())

    assert segments.retain(Retention(), T0_NS) == 0


def test_a_disk_that_refuses_leaves_nothing_half_written(segments, tmp_path):
    write(segments, "a", span(name="kept"))
    (segments.folder / f"b{PARTIAL}").mkdir()

    with pytest.raises(OSError):
        write(segments, "b", span())
    assert names(segments) == ["kept"]


def test_writing_and_merging_segments_imports_no_pandas(tmp_path):
    """It takes two seconds, of the first flush and under load, and nothing needs it."""
    program = f"""
import sys
from pathlib import Path
from tests.unit.receive.otlp_bodies import protobuf, span
from why504.receive.decode import Decoder
from why504.receive.segments import FAN_IN, Segments
segments = Segments(Path({str(tmp_path)!r}))
attributes = {{"a": "b", "n": 1, "http.response.status_code": 504, "why504.kind": "wait"}}
for number in range(FAN_IN):
    segments.write(f"{{number:02}}", [Decoder().decode(protobuf(span(attributes=attributes)))])
assert segments.compact("merged")
print("pandas" in sys.modules)
"""
    assert importlib.util.find_spec("pandas")

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"
