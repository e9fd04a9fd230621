"""Secrets are planted in all that a service handles, it hangs, and what leaves it is searched."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from lab.stack.ports import free_port
from tests.otlp_receiver import read_body
from why504.alerts.alert import Level
from why504.alerts.cards.frame import Place
from why504.alerts.cards.reply import explanation
from why504.alerts.kept.message import Known
from why504.alerts.rooms.finding import _finding as finding_of
from why504.probe.blackbox.frames import frames
from why504.probe.safety import RAISE

SECRET = "s3cr3t"
WITH_ROUTES = ("/metrics", "/debug/requests", "explained", "black box")
APP = """
import os, sys
import httpx, pika, redis, requests
from fastapi import FastAPI, Request
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

import why504

MUTE = os.environ["MUTE"]
app = FastAPI()
engine = create_engine("sqlite://", poolclass=QueuePool,
                       connect_args={"check_same_thread": False})
why504.instrument(app, engine=engine, limits={"client": 5.0})

@app.get("/hang/{number}")
def hang(number: int, request: Request) -> str:
    with engine.connect() as connection:
        connection.execute(text("select 'literal s3cr3t', 4711, :value"), {"value": "bound s3cr3t"})
        httpx.get(f"http://user:userinfo-s3cr3t@{MUTE}/x?api_key=key-s3cr3t", timeout=60,
                  headers={"Authorization": "Bearer s3cr3t"})
    return "ok"

@app.post("/llm")
async def llm() -> str:
    async with httpx.AsyncClient(timeout=60) as client:
        await client.post(f"http://{MUTE}/v1/chat/completions",
                          json={"messages": [{"content": "prompt s3cr3t"}]})
    return "ok"

@app.get("/other/{number}")
def other(number: int) -> str:
    requests.get(f"http://user:userinfo-s3cr3t@{MUTE}/y?sig=s3cr3t", timeout=60,
                 cookies={"session": "s3cr3t"})
    return "ok"

@app.get("/cache")
def cache() -> str:
    host, port = MUTE.split(":")
    redis.Redis(host, int(port), password="pw-s3cr3t").get("key-s3cr3t")
    return "ok"

@app.get("/broker")
def broker() -> str:
    pika.BlockingConnection(pika.URLParameters(f"amqp://guest:pw-s3cr3t@{MUTE}/%2F"))
    return "ok"

@app.get("/message")
def message() -> str:
    def got(channel, method, properties, body):
        httpx.get(f"http://{MUTE}/z?key=key-s3cr3t", timeout=60)

    with pika.BlockingConnection(pika.URLParameters(os.environ["BROKER"])) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        told = pika.BasicProperties(headers={"x-token": "header s3cr3t"})
        channel.basic_publish("", queue, b"body s3cr3t", told)
        channel.basic_consume(queue, got, auto_ack=True)
        channel.start_consuming()
    return "ok"

@app.get("/sql")
def sql() -> str:
    with engine.connect() as connection:
        connection.execute(text("select 'wrong s3cr3t' from nowhere where a = 's3cr3t'"))
    return "ok"

@app.get("/raises")
def raises() -> str:
    raise ValueError("exception s3cr3t")
"""
HANGS = (
    ("GET", "/hang/1?token=s3cr3t&page=2&X-Amz-Signature=s3cr3t&password=s3cr3t"),
    ("POST", "/llm?key=s3cr3t"),
    ("GET", "/other/2?sig=s3cr3t"),
    ("GET", "/cache"),
    ("GET", "/broker"),
    ("GET", "/message"),
)
HEADERS = {
    "Authorization": "Bearer s3cr3t",
    "Cookie": "session=s3cr3t",
    "X-Api-Key": "s3cr3t",
    "User-Agent": "tests",
}


@dataclass
class Sink:
    """Keeps every byte that it is sent."""

    bodies: list[bytes] = field(default_factory=list)
    port: int = 0

    def text(self) -> str:
        return b"".join(list(self.bodies)).decode("utf-8", "replace")


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.bodies.append(read_body(self))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def ask(base: str, method: str, path: str) -> None:
    body = {"said": SECRET} if method == "POST" else None
    # On a connection of its own: after an error a server closes it.
    with suppress(httpx.HTTPError), httpx.Client(timeout=100, trust_env=False) as client:
        client.request(method, base + path, headers=HEADERS, json=body)


def until(true, process: subprocess.Popen, timeout_s: float = 120.0) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        assert process.poll() is None, "the service has ended"
        if true():
            return
        time.sleep(0.2)
    raise AssertionError("did not come true in time")


def explained(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "why504.cli", "explain", "--black-box", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def cards(explained_as_json: str) -> str:
    """Return what the chat room would be told of each incident."""
    known = Known("web", Level.P0, told=1, opened_ns=0)
    return "".join(
        explanation(["one"], known, finding_of(incident, []), Place()).body
        for incident in json.loads(explained_as_json)
    )


@pytest.mark.rabbitmq
@pytest.mark.timeout(400)
def test_no_secret_leaves_a_service_that_hangs(sink, rabbitmq, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    port, metrics_port = free_port(), free_port()
    mute = socket.create_server(("127.0.0.1", 0), backlog=50)
    out, box = tmp_path / "out", tmp_path / "box"
    env = {
        **{name: value for name, value in os.environ.items() if name != RAISE},
        "MUTE": f"127.0.0.1:{mute.getsockname()[1]}",
        "SOME_PASSWORD": f"env {SECRET}",
        "BROKER": rabbitmq.url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.port}",
        "WHY504_METRICS_PORT": str(metrics_port),
        "WHY504_SNAPSHOT_AFTER_S": "0.3",
        "WHY504_BLACK_BOX": str(box),
    }
    command = [sys.executable, "-m", "uvicorn", "app:app", "--no-access-log", f"--port={port}"]
    with out.open("w") as told, mute:
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=told, stderr=told)
        try:
            base = f"http://127.0.0.1:{port}"
            until(
                lambda: (
                    httpx.get(f"{base}/docs", trust_env=False).is_success if listens(port) else 0
                ),
                process,
            )
            for path in ("/sql", "/raises"):
                ask(base, "GET", path)
            until(lambda: "ValueError" in sink.text(), process)
            for method, path in HANGS:
                threading.Thread(target=ask, args=(base, method, path), daemon=True).start()
            hung = ("/hang/{number}", "/llm", "/other/{number}", "/cache", "/broker", "/message")
            until(lambda: all(f"snapshot {w} {r}" in sink.text() for r, w in named(hung)), process)
            time.sleep(1.5)  # `explain` takes who is open for a second
            page = f"http://127.0.0.1:{metrics_port}"
            outputs = {
                path: httpx.get(f"{page}{path}", trust_env=False).text
                for path in ("/metrics", "/debug/requests", "/debug/limits")
            }
            outputs["OTLP"] = sink.text()
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    outputs["explained"] = explained(box)
    outputs["explained as JSON"] = explained(box, "--json")
    outputs["cards"] = cards(outputs["explained as JSON"])
    outputs["black box"] = "".join(
        frame.body.decode("utf-8", "replace")
        for file in box.rglob("*")
        if file.is_file()
        for frame in frames(file.read_bytes())
    )
    outputs["log"] = "\n".join(line for line in out.read_text().splitlines() if "why504" in line)

    # What is searched is what it should be ...
    assert "select ?, ?, ?" in outputs["OTLP"]
    assert "token=REDACTED" in outputs["OTLP"]
    assert "page=2" in outputs["OTLP"]
    assert "ValueError" in outputs["OTLP"]
    assert "publish (default)" in outputs["OTLP"]
    assert "cardsV2" in outputs["cards"]
    assert all("/hang/" in outputs[name] for name in WITH_ROUTES)
    # ... and it is nowhere.
    assert [name for name, text in outputs.items() if SECRET in text or "4711" in text] == []


def named(routes: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(route, "POST" if route == "/llm" else "GET") for route in routes]


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
