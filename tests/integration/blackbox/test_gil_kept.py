"""C code that keeps the GIL blinds every thread of Python: its line is told all the same."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.integration.blackbox.boxed_services import explained, serving, wait_until
from why504.probe.blackbox import folder as places

SERVICE = """
import asyncio, ctypes, math, re, threading, time
from fastapi import FastAPI
import why504
app = FastAPI()
why504.instrument(app)
libc = ctypes.PyDLL(None)  # unlike CDLL it does not let go of the GIL

@app.get("/ok")
async def ok():
    return {}

def match(length):
    return re.match(r"(a+)+$", "a" * length + "b")  # the pattern

@app.get("/computes")
async def computes():
    await asyncio.sleep(0.5)
    began = time.perf_counter()
    match(20)
    match(20 + math.ceil(math.log2(6 / (time.perf_counter() - began))))

@app.get("/sleeps")
async def sleeps():
    await asyncio.sleep(0.5)
    libc.sleep(7)  # the call

@app.get("/elsewhere")
async def elsewhere():
    await asyncio.to_thread(keep_it)

def keep_it():
    libc.sleep(7)  # in a thread
"""
LINES = [line.strip() for line in SERVICE.splitlines()]


def line_of(text: str) -> int:
    return 1 + next(number for number, line in enumerate(LINES) if line.endswith(text))


@pytest.mark.parametrize(
    ("loop", "path", "text"),
    [
        ("asyncio", "/computes", "# the pattern"),
        ("uvloop", "/sleeps", "# the call"),
        ("asyncio", "/elsewhere", "# in a thread"),
    ],
)
def test_the_line_that_kept_the_gil_is_told_when_it_lets_go(tmp_path, loop, path, text):
    with serving(tmp_path, SERVICE, None, "--loop", loop) as service:
        service.ask_in_vain("/ok")
        assert service.get(path, 100).status_code == 200
        (incident, *_) = wait_until(lambda: explained("--black-box", service.box), "told")
        sites = wait_until(lambda: sites_of(service), "a stall with a line")
    assert f"boxed.py:{line_of(text)}" in sites
    if path != "/elsewhere":
        assert incident["finding"]["site"] == f"boxed.py:{line_of(text)}"


def sites_of(service) -> list[str]:
    told = explained("--black-box", service.box)
    blames = [blame["leaf"]["site"] for one in told for blame in one["blames"]]
    return [f"{site['file']}:{site['line']}" for site in blames if site]


def test_a_process_that_was_stopped_has_kept_nothing(tmp_path):
    with serving(tmp_path, SERVICE) as service:
        os.kill(service.process.pid, signal.SIGSTOP)
        time.sleep(6)
        os.kill(service.process.pid, signal.SIGCONT)
        assert service.get("/ok").status_code == 200
        time.sleep(1)
        (dump,) = places.dumps(service.box)
        assert not places.is_taken(dump)
