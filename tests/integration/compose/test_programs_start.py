"""The programs of docker-compose.yml, on this machine: the same commands, the same environment."""

import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest
import redis

from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start, wait_until
from lab.stack.ready import answers, listens
from lab.stack.valkey import HOW_TO_GET_IT, find_binary
from tests.composed import ROOT, environment, ours, services, words
from tests.conftest import missing

START_S = 60.0
BESIDE = {"prepare", "migrations", "nightly", "demo"}
"""They end: other tests have them."""
PATH = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}

pytestmark = pytest.mark.postgres


class Here:
    """Rewrites what a container is told to this machine: addresses, ports and folders."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self._database_url = database_url
        self._ports: dict[str, int] = {}

    def __call__(self, said: str) -> str:
        said = re.sub(r"postgresql://[^@]*@postgres:5432/context", self._database_url, said)
        said = said.replace("/var/lib/why504", str(self.folder)).replace(
            "/gateway/", f"{self.folder}/"
        )
        said = re.sub(r"(?<=[/@])[a-z0-9.]+:(\d{4,5})\b", self._address, said)
        said = re.sub(r"(?<=--port=)(\d+)", lambda port: str(self.port(port[1])), said)
        return said.replace("0.0.0.0", "127.0.0.1")

    def _address(self, told: re.Match[str]) -> str:
        known = self._database_url.rpartition("@")[2].startswith(told[0])
        return told[0] if known else f"127.0.0.1:{self.port(told[1])}"

    def port(self, inside: str) -> int:
        """Return which port stands for one of a container."""
        return self._ports.setdefault(inside, free_port())


@pytest.fixture
def here(tmp_path, postgres):
    from service.infrastructure.db.migrations import migrate

    url = postgres.new_database()
    migrate(url)
    return Here(tmp_path, url)


def begin(stack: ExitStack, name: str, here: Here) -> tuple[Process, str]:
    """Start a program of the file; returns it, and where it says that it is well."""
    service = ours()[name]
    argv = [here(word) for word in words(service)]
    argv[0] = str(Path(sys.executable).with_name(argv[0]))
    told = {key: here(value) for key, value in environment(service).items()}
    if "WHY504_ENDPOINT" in told:
        told["WHY504_METRICS_PORT"] = str(here.port("9464"))
    told |= {key: str(here.port(told[key])) for key in told if key == "SERVICE_METRICS_PORT"}
    # As in the image: no home of its own; compiled once, or libraries would take half a minute.
    told |= PATH | {"HOME": str(here.folder), "PYTHONDONTWRITEBYTECODE": ""}
    program = Program(argv, name, here.folder, told)
    ready = answers(told["HEALTH_URL"])
    return stack.enter_context(start(program, ready=ready, timeout_s=START_S)), told["HEALTH_URL"]


@pytest.mark.parametrize("name", sorted({*ours()} - BESIDE))
def test_a_program_starts_and_says_that_it_is_well(name, here):
    with ExitStack() as stack:
        _, url = begin(stack, name, here)

        assert httpx.get(url, trust_env=False).is_success


def test_each_process_of_the_service_tells_metrics_at_the_next_port(here):
    with ExitStack() as stack:
        process, _ = begin(stack, "service", here)
        first = here.port("9464")
        places = [f"http://127.0.0.1:{port}" for port in (first, first + 1)]
        for place in places:
            wait_until(answers(f"{place}/metrics"), process, START_S)
        told = [httpx.get(f"{place}/debug/requests", trust_env=False).json() for place in places]

    assert len({one["pid"] for one in told}) == 2


@pytest.mark.parametrize("name", ["redis", "langfuse-redis"])
def test_the_cache_takes_its_options_and_wants_its_password(name, tmp_path):
    binary = find_binary()
    if binary is None:
        missing(HOW_TO_GET_IT)
    service, port = services()[name], free_port()
    argv = [str(binary), *words(service)[1:], "--port", str(port)]
    with start(Program(argv, name, tmp_path), ready=listens(port)):
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis(port=port, password=environment(service)["REDISCLI_AUTH"]) as ours_:
            assert ours_.ping()
            kept = {key: ours_.config_get(key)[key] for key in ("save", "maxmemory-policy")}

    assert kept in (
        {"save": "", "maxmemory-policy": "allkeys-lru"},
        {"save": "60 1", "maxmemory-policy": "noeviction"},
    )


def test_accounts_of_the_database_may_do_what_they_need_and_no_more(postgres):
    if not shutil.which("psql"):
        missing("no psql: apt-get install postgresql-client")
    place = postgres.url_of("postgres").rpartition("@")[2].partition("/")[0]
    host, _, port = place.partition(":")
    settings = {"PGHOST": host, "PGPORT": port, "POSTGRES_USER": "postgres"}
    settings |= {"SERVICE_DB_PASSWORD": "aa", "WATCH_DB_PASSWORD": "bb", "PGDATABASE": "postgres"}
    script = ROOT / "otel" / "postgres-roles.sh"
    subprocess.run(["sh", "-e", str(script)], env=settings | {"PATH": "/usr/bin:/bin"}, check=True)

    from service.infrastructure.db.migrations import migrate

    migrate(f"postgresql://context:aa@{place}/context")
    with (
        psycopg.connect(f"postgresql://context:aa@{place}/context") as service,
        psycopg.connect(f"postgresql://watch:bb@{place}/context") as watch,
    ):
        service.execute("SELECT count(*) FROM conversation_event")
        query = "SELECT query FROM pg_stat_activity WHERE usename = 'context'"
        assert "conversation_event" in str(watch.execute(query).fetchall())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            watch.execute("SELECT * FROM conversation_event")
        superuser = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        assert service.execute(superuser).fetchone() == (False,)
