import threading
from pathlib import Path

import pytest

from tests.unit.receive.otlp_bodies import protobuf, span
from why504.errors import StoreUnavailable
from why504.receive import spool as spool_module
from why504.receive.decode import Decoder
from why504.receive.spool import Spool
from why504.receive.wal import Wal
from why504.stores.parquet import ParquetStore

NEVER_S = 3600.0


def add(spool: Spool, *spans) -> None:
    body = protobuf(*spans)
    spool.add(body, Decoder().decode(body)).result(timeout=10)


def names(folder: Path) -> list[str]:
    store = ParquetStore(folder)
    extent = store.extent()
    return sorted(one.name for one in store.evidence(extent).spans) if extent else []


def rows(folder: Path) -> int:
    return sum(segment.rows for segment in spool_module.Segments(folder / "segments").all())


def test_what_was_acknowledged_is_readable_after_close(tmp_path):
    spool = Spool(tmp_path, flush_every_s=NEVER_S)
    add(spool, span(name="a"), span(name="b"))
    spool.close()

    assert names(tmp_path) == ["a", "b"]
    assert list((tmp_path / "wal").iterdir()) == []


def test_what_was_acknowledged_is_readable_soon_without_close(tmp_path):
    spool = Spool(tmp_path, flush_every_s=0.01)
    try:
        add(spool, span(name="a"))
        for _ in range(500):
            if names(tmp_path) == ["a"]:
                break
            threading.Event().wait(0.01)
        assert names(tmp_path) == ["a"]
    finally:
        spool.close()


def test_nothing_received_makes_no_segment(tmp_path):
    Spool(tmp_path).close()

    assert rows(tmp_path) == 0


def test_left_over_write_ahead_files_are_replayed(tmp_path):
    (tmp_path / "wal").mkdir()
    wal = Wal(tmp_path / "wal" / "1.wal")
    wal.append([protobuf(span(name="a")), protobuf(span(name="b"))])
    wal.close()
    with wal.path.open("ab") as file:
        file.write(b"\x40\0\0\0torn")

    Spool(tmp_path).close()

    assert names(tmp_path) == ["a", "b"]
    assert not wal.path.exists()


def test_a_crash_between_segment_and_removal_of_its_file_doubles_nothing(tmp_path):
    (tmp_path / "wal").mkdir()
    body = protobuf(span(name="a"))
    for _ in range(2):
        wal = Wal(tmp_path / "wal" / "1.wal")
        wal.append([body])
        wal.close()
        Spool(tmp_path).close()

    assert rows(tmp_path) == 1


def test_a_write_ahead_file_of_garbage_stops_nothing(tmp_path):
    (tmp_path / "wal").mkdir()
    (tmp_path / "wal" / "1.wal").write_bytes(b"garbage" * 100)
    wal = Wal(tmp_path / "wal" / "2.wal")
    wal.append([b"not otlp", protobuf(span(name="a"))])
    wal.close()

    Spool(tmp_path).close()

    assert names(tmp_path) == ["a"]


def test_requests_of_many_threads_are_all_kept(tmp_path):
    spool = Spool(tmp_path, flush_every_s=0.02)

    def send(thread: int) -> None:
        for number in range(20):
            add(spool, span(name=f"{thread}-{number}"))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.close()

    assert names(tmp_path) == sorted(f"{t}-{n}" for t in range(8) for n in range(20))


def test_a_second_receiver_on_the_folder_is_refused(tmp_path):
    first = Spool(tmp_path)
    try:
        with pytest.raises(StoreUnavailable, match=r"in use by another receiver \(process \d+\)"):
            Spool(tmp_path)
    finally:
        first.close()

    Spool(tmp_path).close()


def test_a_folder_that_can_not_be_made_is_said_so(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StoreUnavailable, match="can't write to"):
        Spool(tmp_path / "file" / "folder")


def test_a_closed_receiver_takes_nothing(tmp_path):
    spool = Spool(tmp_path)
    spool.close()

    with pytest.raises(StoreUnavailable, match="stopping"):
        add(spool, span())


def test_a_disk_that_refuses_is_told_and_recovered_from(tmp_path):
    spool = Spool(tmp_path, flush_every_s=NEVER_S)
    add(spool, span(name="before"))
    (tmp_path / "wal").rename(tmp_path / "elsewhere")
    spool._flush()

    with pytest.raises(StoreUnavailable, match="can't write evidence"):
        add(spool, span(name="lost"))
    assert spool.failure
    (tmp_path / "elsewhere").rename(tmp_path / "wal")
    add(spool, span(name="after"))
    assert not spool.failure
    spool.close()

    assert names(tmp_path) == ["after", "before"]


def test_a_segment_that_can_not_be_written_is_tried_again(tmp_path):
    spool = Spool(tmp_path, flush_every_s=NEVER_S)
    add(spool, span(name="a"))
    (tmp_path / "segments").rename(tmp_path / "elsewhere")
    spool._flush()
    assert "can't write a segment" in spool.failure
    (tmp_path / "elsewhere").rename(tmp_path / "segments")
    spool.close()

    assert names(tmp_path) == ["a"]


def test_more_is_refused_while_too_much_waits_for_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(spool_module, "BACKLOG_BYTES", 10)
    spool = Spool(tmp_path, flush_every_s=NEVER_S)
    add(spool, span(name="a"))

    with pytest.raises(StoreUnavailable, match="wait for the disk"):
        add(spool, span(name="b"))
    spool._flush()
    add(spool, span(name="c"))
    spool.close()

    assert names(tmp_path) == ["a", "c"]
