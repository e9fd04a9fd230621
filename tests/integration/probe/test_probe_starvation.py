"""The hang itself, on a real pool: every victim names what it waits for, sampled or not."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import create_engine, text

import why504
from why504 import names

pytestmark = pytest.mark.postgres
HOLDER, VICTIM = "1" * 32, "2" * 32


def line_of(mark: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


@pytest.mark.parametrize("flags", ["01", "00"], ids=["sampled", "unsampled"])
def test_a_victim_names_the_pool_and_the_hold_names_the_line_that_hangs(
    postgres, collector, settings, serving, flags
):
    url = postgres.new_database().replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(url, pool_size=1, max_overflow=0)
    app = FastAPI()
    release = threading.Event()

    @app.get("/hold")
    def hold() -> str:
        with engine.connect() as connection:
            connection.execute(text("select 1"))
            release.wait(20)  # hangs
        return "ok"

    @app.get("/want")
    def want() -> str:
        with engine.connect():  # wants
            return "ok"

    def call(path: str, trace_id: str) -> None:
        header = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-{flags}"}
        httpx.get(base + path, headers=header, timeout=30)

    probe = why504.instrument(app, engine=engine, settings=settings)
    try:
        with serving(app) as base, ThreadPoolExecutor() as pool:
            pool.submit(call, "/hold", HOLDER)
            while not probe.pools[0].holds():
                time.sleep(0.01)
            pool.submit(call, "/want", VICTIM)
            wait = collector.wait_for(lambda: collector.of_kind(names.WAIT, final=False))[0]
            hold_told = collector.wait_for(
                lambda: [h for h in collector.of_kind(names.HOLD) if _stack(h)]
            )[0]
            victim = collector.wait_for(
                lambda: [
                    s
                    for s in collector.of_kind(names.SNAPSHOT)
                    if s.attributes.get(names.WAITING_ON)
                ]
            )[0]
            metrics = httpx.get(f"http://127.0.0.1:{probe.port}/metrics").text
            debug = httpx.get(f"http://127.0.0.1:{probe.port}/debug/requests").json()
            release.set()
        probe.flush()
    finally:
        probe.shutdown()
        engine.dispose()

    assert (wait.trace_id, wait.attributes[names.RESOURCE]) == (VICTIM, "db.pool:main")
    assert wait.attributes[names.CODE_LINE] == line_of("wants")
    assert (victim.trace_id, victim.attributes[names.WAITING_ON]) == (VICTIM, "db.pool:main")
    assert victim.attributes[names.SNAPSHOT_OF] == wait.parent_id
    assert hold_told.trace_id == HOLDER
    assert f"line {line_of('hangs')}, in" in _stack(hold_told)
    assert "db_client_connection_pending_requests" in metrics
    assert 'db_client_connection_pending_requests{pool="main"} 1.0' in metrics
    assert 'db_client_connection_count{pool="main",state="used"} 1.0' in metrics
    shown = {r["route"]: r for r in debug["requests"]}
    assert shown["/want"]["state"].startswith("waiting for db.pool:main")
    assert shown["/hold"]["holds"] == ["threadpool", "db.pool:main"]
    assert debug["pools"][0]["holders"][0]["trace_id"] == HOLDER
    (final,) = collector.of_kind(names.WAIT, final=True)
    assert (final.attributes[names.OUTCOME], final.span_id) == (
        "acquired",
        wait.attributes[names.SNAPSHOT_OF],
    )
    assert len([s for s in collector.servers() if s.trace_id == VICTIM]) == 1


def _stack(span: object) -> str:
    return str(span.attributes.get(names.CODE_STACKTRACE, ""))
