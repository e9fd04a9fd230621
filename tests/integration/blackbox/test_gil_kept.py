"""C code that keeps the GIL blinds every thread of Python: its line is told all the same."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import format_span_id

from tests.integration.blackbox.boxed_services import explained, run, serving, wait_until
from why504 import names
from why504.probe.blackbox import folder as places
from why504.watch.standstill import StandstillWatch

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
    line = f"boxed.py:{line_of(text)}"
    with serving(tmp_path, SERVICE, None, "--loop", loop) as service:
        service.ask_in_vain("/ok")
        assert service.get(path, 100).status_code == 200
        wait_until(lambda: line in sites_of(service), "a stall with its line")
        if path != "/elsewhere":
            wait_until(lambda: line in found_in(service), "an incident that is found there")


def test_the_line_is_told_though_the_gil_was_kept_as_soon_as_the_service_began(tmp_path):
    at_once = f"""
{SERVICE.replace("FastAPI()", "FastAPI(lifespan=lambda _: begins())")}
import contextlib
@contextlib.asynccontextmanager
async def begins():
    asyncio.get_running_loop().call_soon(keep_it)
    yield
"""
    line = 1 + next(
        n for n, text in enumerate(at_once.splitlines()) if text.endswith("# in a thread")
    )
    with serving(tmp_path, at_once, {"WHY504_GIL_DUMP_AFTER_S": "2"}) as service:
        wait_until(lambda: "kept the GIL at" in explanation(service), "a stall")
        assert f"kept the GIL at boxed.py:{line}" in explanation(service)


def explanation(service) -> str:
    return " ".join(run("explain", "--black-box", service.box).split())


def found_in(service) -> list[str]:
    return [one["finding"]["site"] for one in explained("--black-box", service.box)]


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


def test_a_process_that_is_killed_meanwhile_leaves_the_line(tmp_path):
    with serving(tmp_path, SERVICE.replace("libc.sleep(7)", "libc.sleep(700)")) as service:
        service.ask_in_vain("/sleeps")
        wait_until(
            lambda: [path for path in places.dumps(service.box) if places.is_taken(path)], "a dump"
        )
        told: list[ReadableSpan] = []
        watch = StandstillWatch(service.box, told.append)
        watch.look()
        watch.look()
        service.kill()
        watch.look()
    during, after = [dict(span.attributes or {}) for span in told]
    assert during[names.OUTCOME] == names.OPEN, "told while it lasts"
    assert during[names.CODE_LINE] == line_of("# the call")
    assert during[names.STALL_GIL_KEPT] is True
    assert after[names.OUTCOME] == "ended"
    assert during[names.SNAPSHOT_OF] == format_span_id(told[1].context.span_id)
    said = explanation(service)
    assert f"kept the GIL at boxed.py:{line_of('# the call')}" in said
    assert f"process {service.process.pid} of boxed stood still" in said


def test_a_process_that_restarts_itself_is_ended_though_nobody_gets_the_gil(tmp_path):
    healing = SERVICE.replace("instrument(app)", 'instrument(app, on_stall="restart")')
    env = {"WHY504_RESTART_AFTER_S": "2"}
    endless = healing.replace("/ (time", "* 1000 / (time")
    with serving(tmp_path, endless, env) as service:
        service.ask_in_vain("/computes")
        assert service.process.wait(90) == -signal.SIGVTALRM
    with serving(tmp_path, healing, env):
        told = json.loads((service.box / "restarts-boxed.json").read_text())["restarts"]
        said = explanation(service)
    assert [why for _, _, why in told] == [
        f"the GIL was kept for 2 s of CPU time, at boxed.py:{line_of('# the pattern')}"
    ]
    assert f"kept the GIL at boxed.py:{line_of('# the pattern')}" in said
