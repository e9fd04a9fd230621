"""The file of a process: its bound, its neighbours, and a disk that refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource

from why504.probe.blackbox import file as box_file
from why504.probe.blackbox import folder as places
from why504.probe.blackbox.box import QUEUE_LIMIT, BlackBox
from why504.probe.blackbox.file import BoxFile
from why504.probe.blackbox.frames import METRICS, PROCESS, SPANS, frames, pack
from why504.probe.safety import Guard
from why504.probe.telling.records import RecordSpan
from why504.receive import boxes
from why504.testing import FakeClock

LIMIT_BYTES = 64 * 1024


def told(folder) -> list[bytes]:
    """What all files in a folder hold, but for whose they are."""
    data = b"".join(path.read_bytes() for path in boxes.parts(folder))
    return [frame.body for frame in frames(data) if frame.kind != PROCESS]


def box_of(file: BoxFile, guard: Guard, clock: FakeClock) -> BlackBox:
    return BlackBox(
        file, lambda: Resource({"service.name": "shop"}), guard=guard, clock=clock,
        metrics=lambda: b"up 1", late_after_s=1,
    )  # fmt: skip


def record(number: int) -> RecordSpan:
    return RecordSpan(f"stall {number}", 1, number + 1, None, 10, 20, {"why504.kind": "stall"})


def test_two_processes_at_once_have_files_of_their_own(tmp_path):
    one, other = (BoxFile(tmp_path, LIMIT_BYTES, partial(dict, pid=pid)) for pid in (1, 2))
    for number in range(3):
        one.append([pack(SPANS, b"one%d" % number)])
        other.append([pack(SPANS, b"other%d" % number)])

    found = places.boxes(tmp_path)

    assert len(found) == 2
    assert sorted(told(tmp_path)) == [b"one0", b"one1", b"one2", b"other0", b"other1", b"other2"]
    assert {boxes.read(parts[0]).process["pid"] for parts in found.values()} == {1, 2}


def test_files_stay_within_their_bound_and_keep_the_newest(tmp_path):
    file = BoxFile(tmp_path, LIMIT_BYTES, dict)
    bodies = [os.urandom(1000) for _ in range(400)]
    for body in bodies:
        assert file.append([pack(SPANS, body)])
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= LIMIT_BYTES

    kept = told(tmp_path)
    assert kept == bodies[-len(kept) :]
    assert len(kept) * 1000 > LIMIT_BYTES * 0.4


def test_boxes_of_processes_that_are_gone_make_room(tmp_path):
    for number in range(20):
        file = BoxFile(tmp_path, LIMIT_BYTES, partial(dict, number=number))
        file.append([pack(SPANS, b"%d" % number)])
        file.close()

    assert told(tmp_path)[-1] == b"19"
    assert len(told(tmp_path)) == places.BOXES_KEPT + 1


def test_a_box_is_written_until_its_process_ends(tmp_path):
    writer = (
        "import sys, time, pathlib; from why504.probe.blackbox.file import BoxFile\n"
        "file = BoxFile(pathlib.Path(sys.argv[1]), 65536, dict); file.append([b'x'])\n"
        "print('written', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", writer, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (part,) = boxes.parts(tmp_path)
        assert places.is_written(part)
        process.kill()
    assert not places.is_written(part)


FULL_DISK = """
import os, pathlib, resource, sys
from why504.probe.blackbox import file
from why504.probe.blackbox.frames import SPANS, pack
file.RETRY_S = 0.0
box = file.BoxFile(pathlib.Path(sys.argv[1]), 2**20, dict)
body = os.urandom(3000)
assert box.append([pack(SPANS, b"before" + body)])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
assert not box.append([pack(SPANS, b"torn" + body)])
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert box.append([pack(SPANS, b"after" + body)])
"""


def test_a_full_disk_costs_what_it_refused_and_nothing_else(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert [body[:-3000] for body in told(tmp_path)] == [b"before", b"after"]


@pytest.mark.parametrize("folder", ["/proc/no/such", "/dev/null/below"])
def test_a_folder_that_refuses_is_counted(folder):
    guard, clock = Guard(), FakeClock()
    box = box_of(BoxFile(Path(folder), LIMIT_BYTES, dict), guard, clock)
    for number in range(3):
        box.take(record(number))
        box.write()

    assert guard.errors == {"black box": 3}


def test_a_queue_that_nobody_writes_is_bounded_and_counted(tmp_path):
    guard, clock = Guard(), FakeClock()
    box = box_of(BoxFile(tmp_path, 2**24, dict), guard, clock)
    for number in range(QUEUE_LIMIT + 10):
        box.take(record(number))
    box.close()

    kept = [request for part in boxes.parts(tmp_path) for request in boxes.read(part).requests]
    assert guard.errors == {"black box": 10}
    assert sum(body.count(b"why504.kind") for body in kept) == QUEUE_LIMIT


def test_metrics_are_written_now_and_then(tmp_path, monkeypatch):
    guard, clock = Guard(), FakeClock()
    box = box_of(BoxFile(tmp_path, 2**24, dict), guard, clock)
    for _ in range(10):
        box.write()
        clock.advance(10)
    box.close()

    data = b"".join(path.read_bytes() for path in boxes.parts(tmp_path))
    assert [frame.body for frame in frames(data) if frame.kind == METRICS] == [b"up 1"] * 4


def test_a_file_that_somebody_deleted_is_begun_anew(tmp_path):
    file = BoxFile(tmp_path, LIMIT_BYTES, dict)
    file.append([pack(SPANS, b"gone")])
    for path in boxes.parts(tmp_path):
        path.unlink()
    file.append([pack(SPANS, b"kept")])

    assert told(tmp_path) == [b"kept"]


def test_a_disk_that_refused_is_not_asked_at_every_turn(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    file = BoxFile(blocked, LIMIT_BYTES, dict)
    assert not file.append([b"x"])
    blocked.unlink()

    assert not file.append([b"x"]), "not yet asked again"
    assert box_file.RETRY_S > 1
