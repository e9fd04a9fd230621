from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from lab.stack import postgres as module
from lab.stack.postgres import Postgres
from lab.stack.slow_link import SlowLink
from why504.errors import LabError

pytestmark = pytest.mark.postgres


def test_two_databases_of_one_server_are_strangers(postgres):
    one, other = postgres.new_database(), postgres.new_database()
    with psycopg.connect(one) as connection:
        connection.execute("CREATE TABLE here (id int)")

    with psycopg.connect(other) as connection:
        assert connection.execute("SELECT to_regclass('here')").fetchone() == (None,)


def test_a_new_server_has_the_settings_it_was_given_and_ends_with_all_its_backends(
    postgres, tmp_path
):
    settings = {"max_connections": 7, "statement_timeout": "1234"}
    with (
        Postgres.start(tmp_path / "pg", **settings) as server,
        psycopg.connect(server.new_database()) as connection,
    ):
        shown = [
            connection.execute(f"SHOW {name}").fetchone()[0]
            for name in ("max_connections", "statement_timeout", "listen_addresses")
        ]
        pid = connection.execute("SELECT pg_backend_pid()").fetchone()[0]

    assert shown == ["7", "1234ms", "127.0.0.1"]
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("account", ["own", "nobody"])
def test_a_copy_of_a_server_that_has_ended_has_its_databases(
    postgres, monkeypatch, tmp_path, account
):
    if account == "nobody":
        if os.geteuid() != 0:
            pytest.skip("only root can become somebody else")
        monkeypatch.setattr(module, "_account", lambda: "nobody")
    with Postgres.start(tmp_path / "first") as first:
        with psycopg.connect(first.new_database("lab"), autocommit=True) as connection:
            connection.execute("CREATE TABLE told AS SELECT 504 AS status")
        first.process.stop()
        shutil.copytree(first.data, tmp_path / "template")

    with (
        Postgres.start(tmp_path / "copy", template=tmp_path / "template") as copy,
        psycopg.connect(copy.url_of("lab")) as connection,
    ):
        assert connection.execute("SELECT status FROM told").fetchone() == (504,)


def test_a_frozen_server_answers_nobody_and_then_everybody(postgres, tmp_path):
    with (
        Postgres.start(tmp_path / "pg") as server,
        psycopg.connect(server.url, autocommit=True) as connection,
    ):
        server.process.freeze()
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            psycopg.connect(server.url, connect_timeout=2)
        server.process.thaw()

        assert connection.execute("SELECT 504").fetchone() == (504,)


def test_a_database_in_another_region_answers_each_query_a_round_trip_later(postgres):
    with SlowLink(postgres.port, delay_s=0.05) as link:
        far = postgres.new_database().replace(str(postgres.port), str(link.port))
        with psycopg.connect(far, autocommit=True) as connection:
            began = time.monotonic()
            for _ in range(3):
                connection.execute("SELECT 1")
            took_s = time.monotonic() - began

    assert 0.3 <= took_s < 0.6


def test_no_binaries_at_all_is_told_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_candidates", lambda: iter([tmp_path]))

    with pytest.raises(LabError, match="pip install 'why504"):
        Postgres.start(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_without_user_namespaces_runs_it_as_nobody(postgres, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_account", lambda: "nobody")

    with Postgres.start(tmp_path / "pg") as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 504").fetchone() == (504,)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs every other test this way")
def test_an_ordinary_user_needs_nothing_special(postgres):
    for needed in (os.__file__, psycopg.__file__, module.__file__):
        if not all(folder.stat().st_mode & 0o001 for folder in Path(needed).parents):
            pytest.skip(f"nobody may not read {needed}")
    code = (
        "import os, pathlib, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from lab.stack.postgres import Postgres; import psycopg\n"
        "with Postgres.start(pathlib.Path(sys.argv[1])) as server:\n"
        "    print(psycopg.connect(server.url).execute('SELECT 504').fetchone())\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    with tempfile.TemporaryDirectory(prefix="w504-") as folder:
        os.chown(folder, 65534, 65534)
        done = subprocess.run(
            [*command, folder], check=False, capture_output=True, text=True, env=environment()
        )

    assert (done.stdout.strip(), done.returncode) == ("(504,)", 0), done.stderr


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
