from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.stack import leash
from lab.stack.ports import free_port
from lab.stack.process import Program, run, start
from lab.stack.ready import listens
from why504.errors import LabError

FAMILY = """
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"], start_new_session=True)
pathlib.Path("child").write_text(str(child.pid))
while True: time.sleep(0.05); pathlib.Path("beat").write_text(str(time.monotonic()))
"""
"""Ignores SIGTERM and has a child in a session of its own, as PostgreSQL's backends are."""


def python(code: str, folder: Path, name: str = "program") -> Program:
    return Program([sys.executable, "-c", code], name, folder)


def until(true: Callable[[], object], timeout_s: float = 10) -> bool:
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def child_of(folder: Path) -> int:
    file = folder / "child"
    assert until(lambda: file.exists() and file.read_text())
    return int(file.read_text())


def test_a_program_that_fails_at_once_is_told_with_the_end_of_its_log(tmp_path):
    program = python("import sys; print('no such flag'); sys.exit(3)", tmp_path, "broken")

    with pytest.raises(
        LabError, match=r"broken ended with code 3 as it started[\s\S]+no such flag"
    ):
        start(program, ready=lambda: False)


def test_a_command_that_does_not_exist_is_told_by_name(tmp_path):
    with pytest.raises(LabError, match="can't run /no/such/server"):
        run(Program(["/no/such/server"], "ghost", tmp_path))


def test_a_program_that_is_never_ready_is_ended_and_told(tmp_path):
    program = python(FAMILY, tmp_path, "deaf")

    with pytest.raises(LabError, match=r"deaf was not ready after 0\.5 s"):
        start(program, ready=lambda: False, timeout_s=0.5)

    assert not runs(child_of(tmp_path))


def test_stopping_ends_a_program_that_ignores_it_and_its_children_in_other_sessions(tmp_path):
    process = start(python(FAMILY, tmp_path))
    child = child_of(tmp_path)

    process.stop(grace_s=0.2)

    assert (process.alive, runs(process.pid), runs(child)) == (False, False, False)


def test_a_frozen_program_stands_still_and_goes_on_when_thawed(tmp_path):
    with start(python(FAMILY, tmp_path)) as process:
        beat = tmp_path / "beat"
        assert until(beat.exists)

        process.freeze()
        time.sleep(0.1)
        frozen_at = beat.read_text()
        time.sleep(0.3)
        assert beat.read_text() == frozen_at
        assert process.alive

        process.thaw()
        assert until(lambda: beat.read_text() not in ("", frozen_at))
        process.kill()


def test_a_frozen_program_can_be_stopped(tmp_path):
    process = start(python("import time; time.sleep(60)", tmp_path))
    process.freeze()

    process.stop()

    assert not runs(process.pid)


def test_what_a_crashed_master_leaves_behind_in_its_group_is_ended(tmp_path):
    code = (
        "import pathlib, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "pathlib.Path('child').write_text(str(child.pid)); time.sleep(60)"
    )
    process = start(python(code, tmp_path))
    child = child_of(tmp_path)

    os.kill(process.pid, signal.SIGKILL)

    assert process.wait(5) == 128 + signal.SIGKILL
    assert until(lambda: not runs(child))
    process.stop()


@pytest.mark.parametrize("frozen", [False, True])
def test_nothing_outlives_a_lab_that_was_killed_even_when_started_from_a_thread(tmp_path, frozen):
    lab = f"""
import pathlib, sys, threading, time
from lab.stack.process import Program, start
folder = pathlib.Path({str(tmp_path)!r})
def begin():
    process = start(Program([sys.executable, "-c", {FAMILY!r}], "family", folder))
    while not (folder / "child").exists(): time.sleep(0.02)
    time.sleep(0.1)
    if {frozen}: process.freeze()
    print(process.pid, flush=True)
    globals()["kept"] = process
threading.Thread(target=begin).start()
time.sleep(60)
"""
    home = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", lab]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=home) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        family = leash.descendants(pid)
        time.sleep(0.2)
        assert len(family) == 2
        assert all(runs(member) for member in family), "the thread ended, the program must not"

        parent.kill()

    assert until(lambda: not any(runs(member) for member in family), leash.GRACE_S + 5)


def test_a_program_ends_with_its_leash(tmp_path):
    process = start(python("import time; time.sleep(60)", tmp_path))

    process._leash.kill()

    assert until(lambda: not runs(process.pid))
    process.stop()


def test_the_same_port_is_never_handed_out_twice_nor_one_that_is_taken():
    ports = [free_port() for _ in range(100)]

    assert len(set(ports)) == 100
    assert not any(listens(port)() for port in ports)


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_a_port_that_one_lab_was_given_is_not_given_to_another_while_the_first_lives(monkeypatch):
    code = "from lab.stack.ports import free_port; print(free_port(), flush=True); input()"
    root = str(Path(leash.__file__).parents[2])
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as other:
        theirs = int(other.stdout.readline())
        monkeypatch.setattr("random.sample", lambda *_: [theirs])
        with pytest.raises(LabError, match="no free TCP port"):
            free_port()
        other.communicate(b"\n")

    assert free_port() == theirs
