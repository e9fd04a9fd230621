"""A worker that hangs is ended with its evidence told, and its supervisor starts another."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress

import httpx
import pytest

from tests.integration.blackbox.boxed_services import explained, run, serving, wait_until

SERVICE = """
import asyncio, os, time
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
import why504
app = FastAPI()
why504.instrument(app, on_stall="restart")

@app.get("/ok")
async def ok():
    return {"pid": os.getpid()}

@app.get("/block")
async def block():
    time.sleep(1000)  # the line

@app.get("/wait")
async def wait():
    await asyncio.sleep(1000)  # the wait

async def drops():
    while True:
        yield b"."
        await asyncio.sleep(0.2)

@app.get("/stream")
async def stream():
    return StreamingResponse(drops())
"""
LINES = [line.strip() for line in SERVICE.splitlines()]
BLOCKS = 1 + LINES.index("time.sleep(1000)  # the line")
WAITS = 1 + LINES.index("await asyncio.sleep(1000)  # the wait")
AFTER_S = 2.0
ENV = {"WHY504_RESTART_AFTER_S": str(AFTER_S)}


def pid_of(service) -> int:
    with suppress(httpx.HTTPError):
        return service.get("/ok", 2.0).json()["pid"]
    return 0


def remembered(service) -> list:
    try:
        return json.loads((service.box / "restarts-boxed.json").read_text())["restarts"]
    except FileNotFoundError:
        return []


def test_a_blocked_worker_is_replaced_and_says_why(tmp_path):
    with serving(tmp_path, SERVICE, ENV, "--workers", "2") as service:
        service.ask_in_vain("/block")
        wait_until(lambda: remembered(service), "a restart")
        wait_until(lambda: workers_begun(service) == 3, "another worker")
        assert wait_until(lambda: pid_of(service), "it answers")
    (incident,) = explained("--black-box", service.box)
    said = " ".join(run("explain", "--black-box", service.box).replace("│", " ").split())
    assert incident["finding"]["cause"] == "B1"
    assert incident["finding"]["site"] == f"boxed.py:{BLOCKS}"
    assert "why504 restarted process:" in said
    assert f"turned for 2 s, at boxed.py:{BLOCKS}" in said


def workers_begun(service) -> int:
    return (service.folder / "log").read_text().count("Started server process")


def test_who_hangs_again_is_not_restarted_before_the_back_off_is_over(tmp_path):
    for _ in range(2):
        with serving(tmp_path, SERVICE, ENV) as service:
            service.ask_in_vain("/block")
            assert service.process.wait(60) == 75, "the code of what is to be tried again"
    first, second = sorted(remembered(service))
    assert (second[0] - first[0]) / 1e9 >= 2 * AFTER_S


def test_requests_that_hang_while_the_loop_turns_are_a_hang_too(tmp_path):
    with serving(tmp_path, SERVICE, ENV) as service:
        for _ in range(4):
            service.ask_in_vain("/wait")
        assert service.process.wait(60) == 75
        with pytest.raises(httpx.HTTPError):
            service.get("/ok")
    (restart,) = remembered(service)
    assert "4 hang, the oldest for" in restart[2]
    assert f"at boxed.py:{WAITS}" in restart[2]
    (incident,) = explained("--black-box", service.box)
    assert len(incident["victims"]) == 4
    assert {victim["how"] for victim in incident["victims"]} == {"slow"}, "their ends are told"


def test_streams_stopped_processes_and_single_requests_are_no_hang(tmp_path):
    with serving(tmp_path, SERVICE, ENV) as service:
        pid = pid_of(service)
        service.ask_in_vain("/wait")
        service.ask_in_vain("/wait")
        for _ in range(5):
            service.ask_in_vain("/stream")
        time.sleep(AFTER_S + 1)
        service.ask_in_vain("/wait")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(2 * AFTER_S)
        os.kill(pid, signal.SIGCONT)
        time.sleep(1)
        assert pid_of(service) == pid
        assert remembered(service) == []


def test_what_nobody_asked_for_is_not_done(tmp_path):
    quiet = SERVICE.replace(', on_stall="restart"', "")
    with serving(tmp_path, quiet, ENV) as service:
        service.ask_in_vain("/block")
        time.sleep(2 * AFTER_S)
        assert service.process.poll() is None
