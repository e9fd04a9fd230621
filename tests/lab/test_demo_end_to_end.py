"""The demo as people run it, and as they stop it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.faults import ROOT

pytestmark = [
    pytest.mark.fault,
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.nginx,
    pytest.mark.usefixtures("nginx_binary", "postgres"),
]


def start_demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lab.demo", *arguments, "--folder", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(folder: Path) -> list[str]:
    """Return the command lines that name the folder, and of those that work in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            place = os.readlink(process / "cwd")
        except OSError:
            continue
        if str(folder) in words or place.startswith(str(folder)):
            found.append(words)
    return found


def none_left(folder: Path, within_s: float) -> bool:
    deadline_s = time.monotonic() + within_s
    while processes_of(folder):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_demo_that_is_stopped_in_the_middle_leaves_no_process(tmp_path, number, code):
    with start_demo(tmp_path / "run", "F1") as demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if "ordinary load" in line:
                break
        assert len(processes_of(tmp_path)) > 5

        demo.send_signal(number)
        demo.communicate(timeout=15)

    assert demo.returncode == code
    assert none_left(tmp_path, within_s=10)


def test_the_demo_for_machines_prints_one_document_and_ends(tmp_path):
    with start_demo(tmp_path / "run", "F1", "--json") as demo:
        out, err = demo.communicate(timeout=90)

    told = json.loads(out)
    assert demo.returncode == 0, err
    assert (told["fault"], told["trigger"], told["mechanism"]) == ("F1", "F1", "loop")
    assert told["site"].startswith("lab/adapters/event_publisher.py:")
    assert told["victims"] == told["gateway_504"] > 10
    assert told["victims_with_stock_span"] < told["victims"]
    assert Path(told["store"]).is_dir()
    assert none_left(tmp_path, within_s=10)
