"""A child that is forked from a process with the probe works, ends, and takes nothing from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PARENT = """
import faulthandler, os, sys, threading, time
from pathlib import Path

import httpx
from fastapi import FastAPI
from starlette.testclient import TestClient

import why504
from why504.config import ProbeSettings
from why504.probe.loop.dumptimer import TIMER

app = FastAPI()
probe = why504.instrument(app, settings=ProbeSettings(
    endpoint="http://127.0.0.1:9", metrics_port=0, black_box=sys.argv[1]))

@app.get("/")
def root() -> int:
    return 1

def dumps():
    return sorted(path.name for path in Path(sys.argv[1]).glob("*.w504dump"))

def serve():
    return TestClient(app).get("/").json()
"""
WARM = """
assert serve() == 1
time.sleep(1.5)  # the dump of all stacks is armed, and armed anew
"""


def ended(tmp_path: Path, script: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PARENT + script, str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


@pytest.mark.parametrize("warm", [WARM, "probe.start()\n"])
def test_a_child_serves_whatever_its_parent_did_before(tmp_path, warm):
    script = """
child = os.fork()
if not child:
    assert serve() == 1
    time.sleep(1.5)
    assert serve() == 1
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
time.sleep(1.2)
assert TIMER._is_armed  # the parent puts its own off again
os._exit(0)
"""
    done = ended(tmp_path, warm + script)
    assert done.returncode == 0, done.stderr


def test_a_child_that_ends_as_python_does_ends_at_once_and_leaves_its_parent_s_things(tmp_path):
    script = """
before, child, began_s = dumps(), os.fork(), time.monotonic()
if not child:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert time.monotonic() - began_s < 5
assert dumps() == before != []
page = f"http://127.0.0.1:{probe.port}/healthz"
assert httpx.get(page, trust_env=False).text == "ok\\n"
os._exit(0)
"""
    done = ended(tmp_path, WARM + script)
    assert done.returncode == 0, done.stderr


def test_who_forks_at_any_moment_never_waits_for_a_thread_that_is_not_there(tmp_path):
    script = """
nothing = open(os.devnull, "w")
stop = threading.Event()

def arm():
    while not stop.is_set():
        TIMER.arm(60.0, nothing.fileno())

for _ in range(2):
    threading.Thread(target=arm, daemon=True).start()
for _ in range(200):
    child = os.fork()
    if not child:
        TIMER.arm(60.0, nothing.fileno())
        TIMER.cancel()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""
    done = ended(tmp_path, script, timeout_s=60)
    assert done.returncode == 0, done.stderr


def test_an_application_that_uses_the_timer_itself_has_it(tmp_path):
    script = """
faulthandler.dump_traceback_later(3, exit=True, file=open(sys.argv[1] + "/theirs", "w"))
serve()
time.sleep(8)
os._exit(7)
"""
    done = ended(tmp_path, script)
    assert (done.returncode, (tmp_path / "theirs").read_text()[:7]) == (1, "Timeout"), done.stderr
