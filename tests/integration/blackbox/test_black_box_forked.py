"""A worker that is forked has a box of its own, and nothing of its parent's is told twice."""

from __future__ import annotations

import subprocess
import sys

from why504.receive import boxes

FORKED = """
import os, sys, time
from fastapi import FastAPI
from opentelemetry import trace
import why504
from why504 import names
from why504.config import ProbeSettings
from why504.probe.inflight import Place
app = FastAPI()
probe = why504.instrument(app, settings=ProbeSettings(
    endpoint="http://127.0.0.1:9", metrics_port=0, black_box=sys.argv[1]))

def tell(name):
    record = probe.book.mint(names.WAIT, name, Place(None, 0))
    probe.book.sender.send(record.final("acquired", record.opened_s))

probe.start()
tell("lock:before")
child = os.fork()
probe.start()
tell("lock:parent" if child else "lock:child")
time.sleep(1)
if child:
    _, status = os.waitpid(child, 0)
    assert status == 0
probe.shutdown()
os._exit(0)
"""


def test_each_process_writes_its_own_and_only_its_own(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = {}
    for part in boxes.parts(tmp_path):
        box = boxes.read(part)
        told[box.process["pid"]] = b"".join(box.requests)
    assert len(told) == 2
    everything = b"".join(told.values())
    assert [everything.count(b"wait lock:" + who) for who in (b"before", b"parent", b"child")] == [
        1,
        1,
        1,
    ]
    (child,) = [body for body in told.values() if b"lock:child" in body]
    assert b"lock:parent" not in child
    assert b"lock:before" not in child
