from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway_lines import line, number_of

from why504.watch.accesslog import written_s
from why504.watch.rotation import Position
from why504.watch.tail import READ_BYTES, ROTATION_GRACE_S, Tail


class Log:
    """A log, its writer and its reader; time passes only when told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "access.jsonl"
        self.now_s = 1000.0
        self.last = Position()
        self.tail = self.restart()

    def restart(self) -> Tail:
        if hasattr(self, "tail"):
            self.tail.close()
        self.tail = Tail(self.path, self.last, time_of=written_s, clock_s=lambda: self.now_s)
        return self.tail

    def write(self, *numbers: int, to: Path | None = None) -> None:
        with (to or self.path).open("ab") as file:
            file.writelines(line(number) + b"\n" for number in numbers)

    def write_raw(self, raw: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(raw)

    def rotated(self, number: int) -> Path:
        return self.path.with_name(f"access.jsonl.{number}")

    def rotate(self) -> None:
        if self.rotated(1).exists():
            self.rotated(1).rename(self.rotated(2))
        self.path.rename(self.rotated(1))

    def copytruncate(self) -> None:
        shutil.copy(self.path, self.rotated(1))
        os.truncate(self.path, 0)

    def read(self) -> list[int]:
        """Read and accept all there is, letting the grace after a rotation pass."""
        numbers: list[int] = []
        for _ in range(20):
            batch = self.tail.read()
            if batch.lines:
                self.last = batch.position
                self.tail.accept(batch)
            else:
                self.now_s += ROTATION_GRACE_S / 2
            numbers += [number_of(raw) for raw in batch.lines if raw.startswith(b"{")]
        return numbers


@pytest.fixture
def log(tmp_path):
    made = Log(tmp_path)
    yield made
    made.tail.close()


Between = Callable[[Log], object]


def nothing(log: Log) -> None:
    """Keep the reader running."""


def restart(log: Log) -> None:
    log.restart()


interruptions = pytest.mark.parametrize("between", [nothing, restart])


def test_a_log_that_does_not_exist_yet_is_waited_for(log):
    assert log.read() == []

    log.write(1)

    assert log.read() == [1]


def test_a_line_is_told_once_it_has_ended(log):
    log.write(1)
    log.write_raw(line(2)[:50])
    assert log.read() == [1]

    log.write_raw(line(2)[50:] + b"\n")

    assert log.read() == [2]
    assert log.tail.torn == 0


def test_what_was_not_accepted_is_read_again(log):
    log.write(1, 2)
    assert len(log.tail.read().lines) == 2

    log.write(3)

    assert log.read() == [1, 2, 3]


def test_a_restart_goes_on_at_the_very_line(log):
    log.write(1, 2)
    log.read()
    log.restart()
    log.write(3)

    assert log.read() == [3]


@interruptions
def test_a_renamed_log_is_read_to_its_end_and_then_the_new_one(log, between):
    log.write(1, 2)
    log.read()
    log.write(3)
    log.rotate()
    log.write(4)
    between(log)

    assert log.read() == [3, 4]
    assert log.tail.lost == 0


def test_lines_that_a_slow_writer_still_adds_to_the_renamed_log_are_not_lost(log):
    log.write(1)
    log.read()
    log.rotate()
    log.write(3)
    assert log.tail.read().lines == ()
    log.now_s += ROTATION_GRACE_S / 2
    log.write(2, to=log.rotated(1))

    assert log.read() == [2, 3]


def test_a_renamed_log_is_followed_while_there_is_no_new_one(log):
    log.write(1)
    log.read()
    log.rotate()
    log.write(2, to=log.rotated(1))

    assert log.read() == [2]


@interruptions
def test_two_rotations_while_nobody_looked_lose_nothing(log, between):
    log.write(1, 2)
    log.read()
    log.write(3)
    log.rotate()
    log.write(4, 5)
    log.rotate()
    log.write(6)
    between(log)

    assert log.read() == [3, 4, 5, 6]
    assert log.tail.lost == 0


def test_two_rotations_while_the_log_is_missing_lose_nothing(log):
    log.write(1)
    log.read()
    log.rotate()
    log.write(2)
    log.rotate()

    assert log.read() == [2]
    log.write(3)
    assert log.read() == [3]


@interruptions
def test_a_log_that_was_copied_and_truncated_is_finished_in_the_copy(log, between):
    log.write(1, 2)
    log.read()
    log.write(3)
    log.copytruncate()
    log.write(4)
    between(log)

    assert log.read() == [3, 4]
    assert log.tail.lost == 0


@interruptions
def test_a_truncated_log_that_has_grown_past_the_old_place_is_noticed(log, between):
    log.write(1)
    log.read()
    log.copytruncate()
    log.write(*range(2, 30))
    between(log)

    assert log.read() == list(range(2, 30))


@interruptions
def test_a_log_emptied_without_a_copy_is_counted_and_begun_anew(log, between):
    log.write(1, 2)
    log.read()
    os.truncate(log.path, 0)
    log.write(3)
    between(log)

    assert log.read() == [3]
    assert log.tail.lost == 1


def test_a_rotated_log_that_is_deleted_at_once_is_read_to_its_end_all_the_same(log):
    log.write(1)
    log.read()
    log.write(2)
    log.rotate()
    log.rotated(1).unlink()
    log.write(3)

    assert log.read() == [2, 3]


def test_a_file_that_is_gone_after_a_restart_is_counted_and_the_newer_ones_are_read(log):
    log.write(1)
    log.read()
    log.path.unlink()
    log.write(2)
    log.rotate()
    log.write(3)
    log.restart()

    assert log.read() == [2, 3]
    assert log.tail.lost == 1


@interruptions
def test_a_line_torn_by_a_rotation_is_dropped_and_counted(log, between):
    log.write(1)
    log.read()
    log.write_raw(line(2)[:40])
    log.rotate()
    log.write(3)
    between(log)

    assert log.read() == [3]
    assert log.tail.torn == 1


def test_older_rotated_logs_are_not_sent_by_a_first_start(log):
    log.write(1, to=log.rotated(2))
    log.write(2, to=log.rotated(1))
    log.write(3)

    assert log.read() == [3]


def test_an_empty_log_that_is_rotated_does_not_bring_back_old_ones(log):
    log.write(1, to=log.rotated(2))
    log.path.touch()
    assert log.read() == []
    log.path.rename(log.rotated(1))
    log.write(2)

    assert log.read() == [2]


def test_strangers_beside_the_log_are_left_alone(log):
    log.write(1)
    log.read()
    log.path.with_name("access.jsonl.gz").write_bytes(b"\x1f\x8b\x08" + bytes(500))
    log.path.with_name("access.jsonl.position").write_text('{"offset": 5}\n')
    log.path.with_name("access.jsonl.d").mkdir()
    log.write(99, to=log.path.with_name("access.jsonlother"))
    log.rotate()
    log.write(2)

    assert log.read() == [2]


def test_garbage_is_handed_on_and_stops_nothing(log):
    log.write_raw(b"not ours\n\n\x00\xff\n")
    log.write(1)
    log.write_raw(b"x" * (READ_BYTES + 5000) + b"\n")
    log.write(2)

    assert log.read() == [1, 2]


def test_many_lines_come_in_bounded_batches_each_once(log):
    log.write(*range(1, 3000))

    assert max(len(b"".join(log.tail.read().lines)) for _ in range(3)) <= READ_BYTES
    assert log.read() == list(range(1, 3000))


def test_a_log_that_may_not_be_read_is_an_error_and_not_silence(log, monkeypatch):
    log.write(1)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(log.path))

    monkeypatch.setattr(Path, "open", refuse)

    with pytest.raises(PermissionError):
        log.tail.read()
