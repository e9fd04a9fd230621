"""The doctor on the reference service, on real processes and real servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

import httpx
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from lab.faults import NO_LIMITS
from service.application.settings import Settings, Timeouts
from service.infrastructure.db.engine import make_engine
from service.infrastructure.ladder import limits_in_force
from why504.cli import app
from why504.doctor.sources import from_postgres
from why504.ladder.examine import Ladder, examine
from why504.ladder.rung import rungs_of
from why504.probe.pools.limits import Limits
from why504.probe.safety import Guard
from why504.watch.nginxconf import gateway_limits

ROOT = Path(__file__).parents[3]
STUCK = """
import time
from fastapi import FastAPI
import why504

app = FastAPI()
why504.instrument(app, limits={"application": 55.0, "llm": None})

@app.get("/block")
async def block():
    time.sleep(20)

@app.get("/fine")
async def fine():
    return {}
"""


def gateway(folder: Path, timeout: str, port: int = 8080) -> Path:
    """Write the gateway's configuration as the lab or a container does."""
    template = Template((ROOT / "otel" / "nginx.conf.template").read_text())
    path = folder / "nginx.conf"
    path.write_text(
        template.safe_substitute(
            GATEWAY_USER="user root root;" if os.geteuid() == 0 else "",
            GATEWAY_LISTEN=f"127.0.0.1:{port}",
            GATEWAY_UPSTREAMS="server 127.0.0.1:9 max_fails=0;",
            GATEWAY_TIMEOUT=timeout,
        )
    )
    return path


@contextmanager
def served(target: str, port: int, *, cwd: Path = ROOT, **env: str) -> Iterator[str]:
    """Run uvicorn until the block ends; yields the URL of the probe's own port."""
    argv = [sys.executable, "-m", "uvicorn", target, "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--factory"] if target.endswith("create_app") else []
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    quiet = {"WHY504_METRICS_PORT": str(port + 1), "WHY504_ENDPOINT": "http://127.0.0.1:9"}
    quiet["SERVICE_DATABASE_URL"] = "postgresql://127.0.0.1:9/none"
    log = subprocess.DEVNULL
    process = subprocess.Popen(
        argv, cwd=cwd, env={**os.environ, **path, **quiet, **env}, stdout=log
    )
    try:
        until_it_answers(process, f"http://127.0.0.1:{port + 1}/debug/limits")
        yield f"http://127.0.0.1:{port + 1}"
    finally:
        process.kill()
        process.wait(timeout=10)


def until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    for _ in range(300):
        assert process.poll() is None
        try:
            if httpx.get(url, timeout=1).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the service did not start")


def until_it_listens(url: str) -> None:
    """The probe's port answers first: it opens while the application is still imported."""
    for _ in range(300):
        try:
            httpx.get(url, timeout=1)
        except httpx.ConnectError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the application never listened")


def until_it_hangs(url: str) -> None:
    for _ in range(100):
        try:
            httpx.get(url, timeout=0.5)
        except httpx.ReadTimeout:
            return
        time.sleep(0.1)
    pytest.fail("the service went on answering")


def doctor(*arguments: object):
    return CliRunner().invoke(app, ["doctor", "--json", *(str(a) for a in arguments)])


def test_the_good_service_behind_the_labs_gateway_is_in_order(free_port, tmp_path):
    with served("service.main:create_app", free_port) as url:
        result = doctor("--url", url, "--nginx", gateway(tmp_path, "60000ms"))

    document = json.loads(result.output)
    assert result.exit_code == 0
    assert (document["findings"], document["unseen"]) == ([], [])
    told = {row["kind"]: row["seconds"] for row in document["rungs"]}
    limits = Timeouts()
    assert told["gateway"] == limits.gateway_s
    assert told["application"] == limits.application_s
    assert told["pool"] == limits.checkout_s
    assert told["statement"] == limits.statement_s


def test_production_as_it_was_is_named_limit_by_limit(free_port, tmp_path):
    with served("service.main:create_app", free_port, **NO_LIMITS) as url:
        result = doctor("--url", url, "--nginx", gateway(tmp_path, "4000ms"))

    findings = json.loads(result.output)["findings"]
    missing = {kind for f in findings if f["severity"] == "missing" for kind in f["kinds"]}
    assert result.exit_code == 1
    assert missing >= {"application", "llm", "pool", "statement", "idle_in_transaction"}


@pytest.mark.parametrize(
    ("changed", "kinds"),
    [
        ({"application_s": 60.0}, ("gateway", "application")),
        ({"application_s": None, "analysis_s": 90.0}, ("gateway", "analysis")),
        ({"analysis_s": 55.0}, ("application", "analysis")),
        ({"llm_s": 40.0}, ("analysis", "llm")),
        ({"analysis_s": None, "llm_s": 90.0}, ("application", "llm")),
        ({"statement_s": 70.0}, ("application", "statement")),
        ({"checkout_s": 70.0}, ("application", "pool")),
        ({"checkout_s": 25.0}, ("application", "pool", "connect", "statement")),
        ({"lock_s": 10.0}, ("statement", "lock")),
        ({"memory_s": 41.0}, ("analysis", "memory")),
        ({"broker_s": 56.0}, ("application", "broker")),
        ({"redis_s": 56.0}, ("application", "redis")),
        ({"idle_in_transaction_s": 3600.0}, ("application", "idle_in_transaction")),
        *(({f"{kind}_s": None}, (kind,)) for kind in ("application", "analysis", "llm", "health")),
        *(({f"{kind}_s": None}, (kind,)) for kind in ("statement", "memory", "broker", "redis")),
    ],
    ids=str,
)
def test_each_bad_ladder_of_the_service_is_named(tmp_path, changed, kinds):
    settings = Settings(
        timeouts=Timeouts(**changed),
        broker_url="amqp://127.0.0.1:9",
        redis_url="redis://127.0.0.1:9",
        mem0_api_key="unset",
    )
    engines = {"main": make_engine(settings).sync_engine}
    told = Limits(engines, limits_in_force(settings), Guard()).told()
    nginx = gateway_limits(gateway(tmp_path, "60s"))
    diagnosis = examine(Ladder([*rungs_of(told, "service"), *nginx]))

    assert kinds in {finding.kinds for finding in diagnosis.findings}
    assert not diagnosis.fine


def test_a_service_whose_loop_stands_still_tells_its_limits(free_port, tmp_path):
    (tmp_path / "stuck.py").write_text(STUCK)
    with served("stuck:app", free_port, cwd=tmp_path) as url:
        until_it_listens(f"http://127.0.0.1:{free_port}/fine")
        block = f"http://127.0.0.1:{free_port}/block"
        blocked = threading.Thread(target=_swallow, args=(block,), daemon=True)
        blocked.start()
        until_it_hangs(f"http://127.0.0.1:{free_port}/fine")
        result = doctor("--url", url)
    blocked.join(timeout=10)

    assert result.exit_code == 1
    assert [f["kinds"] for f in json.loads(result.output)["findings"]] == [["llm"]]


def _swallow(url: str) -> None:
    try:
        httpx.get(url, timeout=5)
    except httpx.HTTPError:
        return


@pytest.mark.nginx
def test_nginx_takes_the_configuration_that_was_read(nginx_binary, tmp_path):
    path = gateway(tmp_path, "1m30")
    argv = [str(nginx_binary), "-t", "-p", f"{tmp_path}/", "-c", str(path), "-e", "error.log"]
    checked = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stderr
    assert [r.seconds for r in gateway_limits(path) if r.kind == "gateway"] == [90.0]


@pytest.mark.nginx
@pytest.mark.parametrize("length", ["30s1m", "1.5s", "1x", "-1s", "1s1s", "30 1m"])
def test_nginx_refuses_the_lengths_of_time_that_we_refuse(nginx_binary, tmp_path, length):
    path = gateway(tmp_path, f'"{length}"')
    argv = [str(nginx_binary), "-t", "-p", f"{tmp_path}/", "-c", str(path), "-e", "error.log"]
    checked = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert checked.returncode != 0
    assert doctor("--nginx", path).exit_code == 2


@pytest.mark.postgres
def test_what_the_server_enforces_for_an_account_is_read(postgres):
    url = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE bounded LOGIN PASSWORD 'x'")
        connection.execute("ALTER ROLE bounded SET statement_timeout = '7s'")
    as_bounded = psycopg.conninfo.make_conninfo(url, user="bounded", password="x")
    try:
        rungs, room = from_postgres(as_bounded)
        with psycopg.connect(as_bounded) as connection:
            (most,) = connection.execute("SHOW max_connections").fetchone()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP ROLE bounded")

    assert {rung.kind: rung.seconds for rung in rungs} == {
        "statement": 7.0,
        "lock": None,
        "idle_in_transaction": None,
    }
    assert 0 < room <= int(most)


@pytest.mark.postgres
def test_what_a_session_sets_itself_overrides_the_servers_default(postgres, tmp_path):
    (tmp_path / "l.json").write_text('{"statement": 10}')
    result = doctor("--postgres", postgres.new_database(), "--limits", tmp_path / "l.json")

    rungs = json.loads(result.output)["rungs"]
    assert [row["seconds"] for row in rungs if row["kind"] == "statement"] == [10.0]
    assert [row["seconds"] for row in rungs if row["kind"] == "idle_in_transaction"] == [None]


@pytest.mark.postgres
def test_a_pool_that_the_server_can_not_fill_is_an_inversion(postgres, tmp_path):
    row = {"kind": "pool", "seconds": 5, "connections": 100_000}
    (tmp_path / "l.json").write_text(json.dumps([row]))
    result = doctor("--postgres", postgres.new_database(), "--limits", tmp_path / "l.json")

    sentences = [f["sentence"] for f in json.loads(result.output)["findings"]]
    assert any("may open 100000 connections" in sentence for sentence in sentences)


@pytest.mark.postgres
async def test_limits_that_a_connection_was_opened_with_are_seen(postgres):
    settings = Settings(database_url=postgres.new_database())
    engine: AsyncEngine = make_engine(settings)
    limits = Limits({"main": engine.sync_engine}, {}, Guard())
    limits.attach()
    try:
        before = [row["kind"] for row in limits.told()]
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        after = {row["kind"]: row["seconds"] for row in limits.told()}
    finally:
        limits.detach()
        await engine.dispose()

    assert before == ["pool"]
    assert after == {"pool": 5.0, "statement": 10.0, "lock": 5.0, "idle_in_transaction": 10.0}


@pytest.mark.postgres
def test_a_database_that_refuses_is_said_without_its_password(postgres):
    url = psycopg.conninfo.make_conninfo(postgres.new_database(), dbname="none", password="hush")
    result = doctor("--postgres", url)

    assert result.exit_code == 2
    assert "can't be asked" in result.output
    assert "hush" not in result.output
