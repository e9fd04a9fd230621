import logging
import threading
from pathlib import Path

import pytest

from tests.unit.receive.otlp_bodies import SECOND_NS, T0_NS, protobuf, span
from why504.errors import StoreUnavailable
from why504.model import Evidence, Window
from why504.receive.decode import Decoder
from why504.receive.segments import FAN_IN, Retention, Segments
from why504.stores.parquet import ParquetStore

TRACE = b"t" * 16
OTHER = b"o" * 16


def seconds(start_s: float, end_s: float) -> Window:
    return Window(T0_NS + round(start_s * SECOND_NS), T0_NS + round(end_s * SECOND_NS))


class Folder:
    """A store to read and the segments beneath it to write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segments = Segments(path / "segments")
        self.store = ParquetStore(path)
        self._written = 0

    def write(self, *spans, instance: str = "shop-1") -> None:
        resource = {"service.name": "shop", "service.instance.id": instance}
        batch = Decoder().decode(protobuf(*spans, resource=resource))
        self._written += 1
        self.segments.write(f"{self._written:04}", [batch])

    def names(self, start_s: float, end_s: float) -> list[str]:
        return [one.name for one in self.store.evidence(seconds(start_s, end_s)).spans]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def snapshot(of: bytes, end_s: float, sequence: int = 1, **given) -> dict:
    attributes = {
        "why504.kind": "snapshot",
        "why504.snapshot.of": of.hex(),
        "why504.snapshot.sequence": sequence,
        "why504.snapshot.kind": "server",
    }
    return span(name="snapshot hung", end_s=end_s, attributes=attributes, **given)


def test_an_empty_folder_has_no_extent_and_no_evidence(folder):
    assert folder.store.extent() is None
    assert folder.store.evidence(seconds(0, 1)) == Evidence(seconds(0, 1), [], [], [], [], {}, [])
    assert folder.store.trace("ab" * 16).spans == ()


def test_a_folder_that_does_not_exist_is_empty(tmp_path):
    assert ParquetStore(tmp_path / "none").extent() is None


def test_the_extent_covers_every_segment(folder):
    folder.write(span(start_s=5, end_s=6))
    folder.write(span(start_s=1, end_s=9), span(start_s=3, end_s=4))

    extent = folder.store.extent()

    assert extent == Window(T0_NS + SECOND_NS, T0_NS + 9 * SECOND_NS + 1)


def test_the_version_changes_when_something_is_stored_merged_or_deleted_and_only_then(folder):
    seen = [folder.store.version()]
    for number in range(FAN_IN):
        folder.write(span(trace_id=bytes([number + 1]) * 16))
        seen.append(folder.store.version())
        assert folder.store.version() == seen[-1]
    while folder.segments.compact("9999-merged"):
        pass
    seen.append(folder.store.version())

    assert len(set(seen)) == FAN_IN + 2
    assert folder.store.version() == seen[-1]


def test_a_window_holds_what_overlaps_it_by_start(folder):
    folder.write(
        span(name="through", start_s=1, end_s=50),
        span(name="before", start_s=1, end_s=9),
        span(name="last", start_s=19, end_s=30),
        span(name="after", start_s=20, end_s=30),
        span(name="first", start_s=0, end_s=10),
    )

    assert folder.names(10, 20) == ["first", "through", "last"]


def test_a_trace_comes_whole_as_soon_as_one_span_overlaps(folder):
    folder.write(span(trace_id=TRACE, name="child", start_s=12, end_s=13))
    folder.write(
        span(trace_id=TRACE, name="root", start_s=1, end_s=2),
        span(trace_id=OTHER, name="stranger", start_s=1, end_s=2),
    )

    assert folder.names(10, 20) == ["root", "child"]


def test_a_span_that_never_ended_is_open_as_long_as_its_process_was_heard_of(folder):
    folder.write(snapshot(b"h" * 8, end_s=5))
    assert folder.names(10, 20) == []

    folder.write(span(name="other", start_s=30, end_s=31))
    (told,) = folder.store.evidence(seconds(10, 20)).spans

    assert (told.name, told.kind, told.end_ns, told.last_seen_ns) == (
        "hung",
        "server",
        None,
        T0_NS + 5 * SECOND_NS,
    )


def test_another_process_that_lives_on_keeps_nothing_open(folder):
    folder.write(snapshot(b"h" * 8, end_s=5), instance="dead")
    folder.write(span(name="other", start_s=30, end_s=31), instance="alive")

    assert folder.names(10, 20) == []
    assert folder.store.evidence(seconds(10, 20)).heard_ns == {
        "dead": T0_NS + 5 * SECOND_NS,
        "alive": T0_NS + 31 * SECOND_NS,
    }


def test_a_span_that_ended_before_the_window_is_not_open_in_it(folder):
    folder.write(snapshot(b"h" * 8, end_s=5, trace_id=TRACE))
    folder.write(span(trace_id=TRACE, span_id=b"h" * 8, name="hung", end_s=6))
    folder.write(span(name="other", start_s=30, end_s=31))

    assert folder.names(10, 20) == []
    assert folder.names(5, 8) == ["hung"]


def test_what_opens_after_the_window_is_not_in_it(folder):
    folder.write(snapshot(b"h" * 8, start_s=25, end_s=26), span(start_s=40, end_s=41))

    assert folder.names(10, 20) == []


def test_open_records_before_the_window_are_found_too(folder):
    attributes = {
        "why504.kind": "hold",
        "why504.resource": "db.pool:main",
        "why504.outcome": "open",
        "why504.snapshot.of": "aa" * 8,
        "why504.snapshot.sequence": 1,
    }
    folder.write(span(end_s=5, attributes=attributes), span(start_s=40, end_s=41))

    (hold,) = folder.store.evidence(seconds(10, 20)).holds

    assert (hold.resource, hold.span_id, hold.end_ns) == ("db.pool:main", "aa" * 8, None)


def test_rows_that_were_stored_twice_are_told_once(folder):
    one = span(name="a")
    folder.write(one)
    folder.write(one, one)

    assert folder.names(0, 10) == ["a"]


def test_a_trace_is_found_by_its_id(folder):
    folder.write(span(trace_id=TRACE, start_s=1, end_s=4), span(trace_id=OTHER))

    told = folder.store.trace(TRACE.hex())

    assert [one.trace_id for one in told.spans] == [TRACE.hex()]
    assert told.window == Window(T0_NS + SECOND_NS, T0_NS + 4 * SECOND_NS + 1)
    assert told.heard_ns == {"shop-1": T0_NS + 4 * SECOND_NS}


@pytest.mark.parametrize("trace_id", ["", "zz", "ab", "ab" * 16, "'; DROP TABLE spans"])
def test_an_unknown_trace_is_empty(folder, trace_id):
    folder.write(span(trace_id=TRACE))

    assert not folder.store.trace(trace_id).spans


def test_attributes_come_back_with_their_types(folder):
    attributes = {"a": True, "b": 1, "c": 1.0, "d": "\0'\"é", "e": ["x"], "f": 2**63 - 1}
    folder.write(span(attributes=attributes | {"http.response.status_code": 504}))

    (told,) = folder.store.evidence(seconds(0, 10)).spans

    assert told.attributes == attributes | {"http.response.status_code": 504}
    assert [type(told.attributes[key]) for key in "abc"] == [bool, int, float]


def test_segments_that_can_not_be_read_are_left_out_with_a_warning(folder, caplog):
    caplog.set_level(logging.WARNING)
    folder.write(span(name="good"))
    folder.write(*(span(name=f"cut {n}") for n in range(500)))
    whole = (folder.path / "segments" / "0002.parquet").read_bytes()
    damaged = bytearray(whole)
    damaged[4 : len(whole) // 2] = b"\xee" * (len(whole) // 2 - 4)
    for name, content in {
        "0000": b"garbage",
        "0002": whole[: len(whole) // 2],
        "0003": b"",
        "0004": bytes(damaged),
    }.items():
        (folder.path / "segments" / f"{name}.parquet").write_bytes(content)

    assert folder.names(0, 10) == ["good"]
    assert folder.names(0, 10) == ["good"]
    for name in ("0000", "0002", "0003", "0004"):
        assert caplog.text.count(f"{name}.parquet is left out") == 1


def test_a_segment_of_another_table_is_left_out(folder):
    import duckdb

    folder.write(span(name="good"))
    with duckdb.connect() as database:
        database.execute(f"COPY (SELECT 1 AS a) TO '{folder.path}/segments/0000.parquet'")

    assert folder.names(0, 10) == ["good"]


def test_a_store_that_never_answers_is_unavailable(folder, monkeypatch):
    folder.write(span())
    monkeypatch.setattr(Path, "exists", lambda path: False)
    (folder.path / "segments" / "0000.parquet").write_bytes(b"garbage")

    with pytest.raises(StoreUnavailable, match="can't read"):
        folder.store.extent()


def test_reading_goes_on_while_segments_are_written_merged_and_deleted(folder):
    rounds = FAN_IN * 3
    kept = [span(name=f"kept {n:03}", start_s=n) for n in range(rounds)]
    done = threading.Event()

    def write() -> None:
        for number, one in enumerate(kept):
            folder.write(one)
            folder.segments.compact(f"merged-{number}")
            folder.segments.retain(Retention(), T0_NS)
        done.set()

    writer = threading.Thread(target=write)
    seen: list[int] = []
    writer.start()
    while not done.is_set() or not seen:
        seen.append(len(folder.names(0, 3600)))
    writer.join()

    assert seen == sorted(seen)
    assert folder.names(0, 3600) == [one["name"] for one in kept]


def test_threads_may_share_a_store(folder):
    folder.write(*(span(name=f"{n:03}", start_s=n) for n in range(100)))
    expected = folder.names(0, 200)
    told: list[list[str]] = []

    threads = [threading.Thread(target=lambda: told.append(folder.names(0, 200))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert told == [expected] * 4
