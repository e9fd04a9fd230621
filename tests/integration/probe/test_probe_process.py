"""What depends on a whole process: the application's own tracing, imports, forks, its exit."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from why504 import names
from why504.probe.lean.outbox import DELAY_S


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_probe_is_light_to_import():
    out = run(
        "import sys, why504.probe.setup as _;"
        "print([m for m in ('sqlalchemy', 'fastapi', 'starlette', 'prometheus_client', 'greenlet',"
        " 'requests', 'pika') if m in sys.modules])"
    )

    assert out.strip() == "[]"


OWN_TRACING = """
import asyncio, sys, time
import httpx
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
import why504
from why504.config import ProbeSettings
provider = TracerProvider(
    sampler=TraceIdRatioBased(0.0), resource=Resource({"service.name": "theirs"})
)
trace.set_tracer_provider(provider)
app = FastAPI()
@app.get("/slow")
def slow():
    time.sleep(0.8)
probe = why504.instrument(app, settings=ProbeSettings(
    endpoint=sys.argv[1], metrics_port=0, snapshot_after_s=0.2))
assert trace.get_tracer_provider() is provider
async def call():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        return await client.get("/slow")
assert asyncio.run(call()).status_code == 200
"""


def test_an_application_that_samples_nothing_is_told_and_flushed_at_exit(collector):
    run(OWN_TRACING, collector.endpoint)

    told = collector.of_kind(names.SNAPSHOT)
    assert [t.attributes[names.SNAPSHOT_SEQUENCE] for t in told][:2] == [1, 2]
    assert {t.resource[names.SERVICE_NAME] for t in told} == {"theirs"}
    (server,) = collector.servers()
    assert server.span_id == told[0].attributes[names.SNAPSHOT_OF]


EXCLUDED = """
import asyncio, logging, os, sys
os.environ["OTEL_PYTHON_EXCLUDED_URLS"] = told = "*/health, /skipped, ["
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import httpx
import why504
from why504.config import ProbeSettings
exported, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exported))
trace.set_tracer_provider(provider)
logging.basicConfig(stream=sys.stdout, level="WARNING", format="warned: %(message)s")
app = FastAPI()
app.get("/{name}")(lambda name: name)
probe = why504.instrument(app, settings=ProbeSettings(metrics_port=0, server_spans="contrib"))
assert os.environ["OTEL_PYTHON_EXCLUDED_URLS"] == told
async def call():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        return [(await client.get(path)).status_code for path in ("/skipped", "/health", "/a")]
assert asyncio.run(call()) == [200, 200, 200]
for span in exported.get_finished_spans():
    if span.kind is trace.SpanKind.SERVER:
        print("span:", span.attributes["url.path"])
"""


def test_what_is_no_regular_expression_keeps_no_application_of_contrib_from_starting():
    said = run(EXCLUDED).splitlines()

    assert [line for line in said if line.startswith("span:")] == ["span: /health", "span: /a"]
    warned = [line for line in said if "EXCLUDED_URLS" in line]
    assert [line.split()[2] for line in warned] == ["'*/health'", "'['"]
    assert all("write /health, not */health" in line for line in warned)


LEAVING = """
import asyncio, atexit, sys, time
import httpx
from fastapi import FastAPI
# Registered first, so called last: what the interpreter does after that is not ours.
atexit.register(lambda: print(time.monotonic() - began_s))
import why504
from why504.config import ProbeSettings
app = FastAPI()
app.get("/")(lambda: 1)
probe = why504.instrument(app, settings=ProbeSettings(endpoint=sys.argv[1], metrics_port=0))
async def call():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        return await client.get("/")
assert asyncio.run(call()).status_code == 200
assert probe.port > 0
time.sleep(float(sys.argv[2]))
began_s = time.monotonic()
"""


@pytest.mark.parametrize("sends_for_s", [0.0, 0.4], ids=["not yet", "already"])
def test_an_exit_beside_a_collector_that_never_answers_lasts_three_seconds_at_most(sends_for_s):
    with socket.create_server(("127.0.0.1", 0)) as black_hole:
        endpoint = f"http://127.0.0.1:{black_hole.getsockname()[1]}"
        pause_s = DELAY_S + sends_for_s if sends_for_s else 0.0
        exit_s = float(run(LEAVING, endpoint, str(pause_s)))

    # A machine that is busy gets a bit more; it was more than four.
    assert exit_s < 3.5


FORKED = """
import os, sys, asyncio
from fastapi import FastAPI
import why504
from why504.config import ProbeSettings
app = FastAPI()
probe = why504.instrument(app, settings=ProbeSettings(endpoint=sys.argv[1], metrics_port=0))
first = probe.port
child = os.fork()
if child == 0:
    second = probe.port
    import urllib.request
    body = urllib.request.urlopen(f"http://127.0.0.1:{second}/metrics", timeout=5).read()
    alive = sum(t.is_alive() for t in probe._threads)
    os._exit(0 if second != first and body.count(b"# TYPE why504_inflight_dropped") == 1
             and alive == 3 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_forked_worker_has_threads_and_a_port_of_its_own(collector):
    run(FORKED, collector.endpoint)
