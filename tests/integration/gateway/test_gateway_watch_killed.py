"""A watch that is killed again and again, in the middle of whatever it does."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from otlp_receiver import Receiver

from lab.stack.process import Program, start

WATCH = """
import sys, threading
from pathlib import Path
from prometheus_client import CollectorRegistry
from why504.watch.delivery import Delivery
from why504.watch.delivery_metrics import Delivered
from why504.watch.gateway import GatewayWatch
from why504.watch.otlp import OtlpClient, target_of
log, endpoint, state = sys.argv[1:]
delivery = Delivery(OtlpClient(target_of(endpoint)).post, Delivered(CollectorRegistry()))
GatewayWatch(Path(log), delivery.deliver, Path(state)).run(threading.Event())
"""


def line(number: int) -> str:
    """Return a line of the least that a span needs."""
    fields = {
        "ts": f"{1_795_449_354 + number / 1000:.3f}",
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "method": "GET",
        "uri": "/ok",
        "status": "200",
        "request_time": 0.001,
    }
    return json.dumps(fields) + "\n"


@pytest.fixture
def receiver(free_port) -> Iterator[Receiver]:
    running = Receiver(free_port)
    yield running
    running.stop()


@pytest.mark.slow
def test_no_line_is_lost_by_kills_and_rotations_and_repeats_have_the_same_ids(tmp_path, receiver):
    log = tmp_path / "access.jsonl"
    command = [sys.executable, "-c", WATCH, str(log), f"http://127.0.0.1:{receiver.port}"]
    home = {"PYTHONPATH": os.pathsep.join(sys.path)}
    program = Program([*command, str(tmp_path / "state")], "watch", tmp_path, home)
    chance = random.Random(504)
    written = append(log, 0)
    for _ in range(4):
        heard = len(receiver.spans)
        with start(program) as watch:
            wait_for(lambda heard=heard: len(receiver.spans) > heard)
            until_s = time.monotonic() + chance.random()
            while time.monotonic() < until_s:
                written += append(log, written)
                if chance.random() < 0.1:
                    rotate(log)
                time.sleep(0.02)
            watch.kill()
        # While nobody looks:
        rotate(log)
        written += append(log, written)
    everything = set(range(1, written + 1))
    with start(program):
        wait_for(lambda: numbers(receiver) == everything, lambda: everything - numbers(receiver))

    ids = {(span.trace_id, span.span_id) for span in receiver.spans}
    assert len(ids) == written


def append(log: Path, after: int) -> int:
    with log.open("a") as file:
        file.writelines(line(after + number) for number in range(1, 51))
    return 50


def numbers(receiver: Receiver) -> set[int]:
    return {int.from_bytes(span.trace_id) for span in receiver.spans}


def rotate(log: Path) -> None:
    for number in range(99, 0, -1):
        old = log.with_name(f"{log.name}.{number}")
        if old.exists():
            old.rename(log.with_name(f"{log.name}.{number + 1}"))
    if log.exists():
        log.rename(log.with_name(f"{log.name}.1"))


def wait_for(true: Callable[[], bool], why: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)
