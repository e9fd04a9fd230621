"""`why504 watch` as a user starts it: what it sees is what the receiver would have seen itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_receiver import Receiver
from prometheus_client.parser import text_string_to_metric_families

from lab.stack.ports import free_port as find_port
from why504 import names
from why504.stores.parquet import ParquetStore

STATUSES = ("200", "504", "499", "502")


def line(number: int, written_s: float) -> str:
    fields = {
        "ts": f"{written_s:.3f}",
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "parent_span_id": "00f067aa0ba902b7" if number % 3 == 0 else "",
        "method": "GET",
        "uri": f"/v1/friendship_status/u-{number}",
        "status": STATUSES[number % 4],
        "server_addr": "127.0.0.1",
        "server_port": "8080",
        "request_time": 2.001,
        "upstream_addr": "127.0.0.1:8000",
        "upstream_status": "504",
        "upstream_connect_time": "0.001",
        "upstream_header_time": "-",
    }
    return json.dumps(fields) + "\n"


@dataclass
class Running:
    """One command of ours."""

    process: subprocess.Popen[str]
    url: str

    def sample(self, name: str, **labels: str) -> float | None:
        text = httpx.get(f"{self.url}/metrics", timeout=5).text
        samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
        return next((s.value for s in samples if s.name == name and s.labels == labels), None)


@contextmanager
def running(command: str, *options: str, **more: str) -> Iterator[Running]:
    port = find_port()
    argv = [sys.executable, "-m", "why504.cli", command, "--port", str(port), *options]
    env = {**os.environ, "PYTHONPATH": "src", **more}
    process = subprocess.Popen(argv, env=env, text=True, stderr=subprocess.PIPE)
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: answers(f"{url}/healthz"))
        yield Running(process, url)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def eventually(fact: Callable[[], object], within_s: float = 30) -> None:
    deadline_s = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline_s, "did not come true in time"
        time.sleep(0.1)


def watching(log: Path, state: Path, *more: str) -> list[str]:
    gateway = ["--gateway-log", str(log), "--gateway-timeout-s", "2"]
    return [*gateway, "--state", str(state), *more]


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "access.jsonl"


def write(log: Path, *numbers: int) -> None:
    with log.open("a") as file:
        file.writelines(line(number, time.time()) for number in numbers)


def rows(folder: Path) -> list[tuple[object, ...]]:
    store = ParquetStore(folder)
    extent = store.extent()
    spans = store.evidence(extent).spans if extent else []
    return sorted(repr(span) for span in spans)


@pytest.mark.slow
def test_the_spans_are_those_that_the_receiver_makes_itself(log, tmp_path):
    write(log, *range(1, 101))
    itself, told = tmp_path / "itself", tmp_path / "told"
    store = ["--store", str(itself)]
    gateway = ["--gateway-log", str(log), "--gateway-timeout-s", "2"]
    with running("receive", *store, *gateway) as receiver:
        eventually(lambda: receiver.sample("why504_receiver_spans_total") == 100)
    with running("receive", "--store", str(told)) as receiver:
        to = ["--endpoint", receiver.url]
        with running("watch", *watching(log, tmp_path / "state", *to)) as watch:
            eventually(lambda: receiver.sample("why504_receiver_spans_total") == 100)
            eventually(lambda: watch.sample("why504_watch_sent_spans_total") == 100)

    assert rows(told) == rows(itself)
    assert len(rows(told)) == 100


@pytest.mark.slow
def test_a_collector_that_is_down_costs_no_span_and_hides_no_504(log, tmp_path, free_port):
    write(log, *range(1, 41))
    to = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port}"}
    requests = "why504_gateway_request_duration_seconds_count"
    with running("watch", *watching(log, tmp_path / "state"), **to) as watch:
        eventually(lambda: watch.sample(requests, status="504") == 10)
        eventually(lambda: (watch.sample("why504_watch_unsent_age_seconds") or 0) > 1)
        assert "nothing has been taken" in httpx.get(f"{watch.url}/healthz").text
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < 8
    assert watch.process.returncode == 0
    assert not (tmp_path / "state" / "gateway.position").exists()

    receiver = Receiver(free_port)
    receiver.answers = [429]
    with running("watch", *watching(log, tmp_path / "state"), **to):
        eventually(lambda: len(receiver.spans) == 40)
        write(log, 41)
        eventually(lambda: len(receiver.spans) == 41)
    receiver.stop()
    assert [int.from_bytes(span.trace_id) for span in receiver.spans] == list(range(1, 42))


@pytest.mark.slow
def test_what_was_written_last_is_sent_before_it_ends(log, tmp_path, free_port):
    receiver = Receiver(free_port)
    with running(
        "watch", *watching(log, tmp_path / "state", "--endpoint", f"http://127.0.0.1:{free_port}")
    ):
        write(log, *range(1, 6))
    receiver.stop()

    assert len(receiver.spans) == 5


def test_there_has_to_be_something_to_watch():
    done = subprocess.run(
        [sys.executable, "-m", "why504.cli", "watch"],
        env={**os.environ, "PYTHONPATH": "src"}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert "--gateway-log, --postgres, --rabbitmq or --black-box" in " ".join(done.stderr.split())


@pytest.mark.slow
@pytest.mark.postgres
def test_locks_that_were_seen_while_the_collector_was_down_arrive_once_it_is_up(
    postgres, tmp_path, free_port
):
    url = postgres.new_database()
    with (
        running(
            "watch", "--state", str(tmp_path), "--endpoint", f"http://127.0.0.1:{free_port}",
            WHY504_POSTGRES=url,
        ) as watch,
        psycopg.connect(url) as holder,
        psycopg.connect(url) as waiter,
    ):  # fmt: skip
        holder.execute("CREATE TABLE seats (number int)")
        holder.commit()
        holder.execute("LOCK TABLE seats")
        waiting = threading.Thread(target=waiter.execute, args=("SELECT * FROM seats",))
        waiting.start()
        eventually(lambda: (watch.sample("why504_watch_queued_spans") or 0) >= 4)
        holder.commit()
        waiting.join()
        assert httpx.get(f"{watch.url}/healthz").status_code == 200
        receiver = Receiver(free_port)
        try:
            eventually(lambda: kinds(receiver) >= {"wait", "hold"})
            eventually(lambda: {"wait", "hold"} <= finals(receiver))
        finally:
            receiver.stop()


def attribute(span: Span, key: str) -> str | None:
    return next((one.value.string_value for one in span.attributes if one.key == key), None)


def kinds(receiver: Receiver) -> set[str | None]:
    return {attribute(span, names.KIND) for span in receiver.spans}


def finals(receiver: Receiver) -> set[str | None]:
    return {
        attribute(span, names.KIND)
        for span in receiver.spans
        if attribute(span, names.OUTCOME) in ("acquired", "released")
    }
