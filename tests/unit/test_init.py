"""`why504 init`: real folders, real files."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

from why504.cli import app, envfile
from why504.stack import folder


def init(*arguments):
    return CliRunner().invoke(app, ["init", *map(str, arguments)])


def values(path):
    """Return what Docker Compose would read: of a name that is there twice the last counts."""
    lines = re.findall(r"(?m)^(\w+)=(.*)$", path.read_text())
    return dict(lines)


def test_a_folder_gets_all_that_compose_mounts_and_the_image_is_built_of(tmp_path):
    done = init(tmp_path / "stack")

    assert done.exit_code == 0
    for name in ("docker-compose.yml", "Dockerfile", "requirements.lock", ".dockerignore"):
        assert (tmp_path / "stack" / name).read_bytes() == (folder() / name).read_bytes()
    for name in ("otel/nginx.conf.template", "alerts/rules/p0.yml", "lab/app.py"):
        assert (tmp_path / "stack" / name).read_bytes() == (folder() / name).read_bytes()
    assert (tmp_path / "stack" / "src" / "why504" / "stack.py").is_file()
    assert "docker compose up -d" in done.output


def test_nothing_compiled_and_no_copy_of_a_copy_comes_along(tmp_path):
    init(tmp_path)

    assert not [path for path in tmp_path.rglob("*") if path.name in ("__pycache__", "_stack")]


def test_passwords_are_read_by_their_owner_only_and_files_by_containers(tmp_path):
    before = os.umask(0o077)
    try:
        init(tmp_path / "stack")
    finally:
        os.umask(before)

    modes = {
        str(path.relative_to(tmp_path / "stack")): path.stat().st_mode & 0o777
        for path in (tmp_path / "stack").rglob("*")
    }
    assert modes.pop(".env") == 0o600
    assert {mode for name, mode in modes.items() if "." not in os.path.basename(name)} >= {0o755}
    assert modes["otel/nginx.conf.template"] == 0o644
    assert modes["alerts/rules"] == 0o755


def test_two_folders_have_other_passwords(tmp_path):
    init(tmp_path / "one")
    init(tmp_path / "two")

    one, two = (values(tmp_path / name / ".env") for name in ("one", "two"))
    same = {name for name in one if one[name] == two[name]}
    assert not {name for name in same if "PASSWORD" in name or "SECRET" in name or "SALT" in name}
    assert len(one["LANGFUSE_ENCRYPTION_KEY"]) == 64
    assert all(re.fullmatch("[0-9a-f]{32,}", one[name]) for name in one if "PASSWORD" in name)


def test_what_is_there_is_kept(tmp_path):
    init(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    again = init(tmp_path)

    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert "written" not in again.output
    assert "kept: " in again.output


def test_a_changed_file_is_kept_and_told_and_replaced_only_by_force(tmp_path):
    init(tmp_path)
    changed = tmp_path / "otel" / "rabbitmq.conf"
    changed.write_text("mine\n")
    (tmp_path / ".env").write_text((tmp_path / ".env").read_text() + "MINE=1\n")

    told = init(tmp_path)
    kept = changed.read_text()
    forced = init(tmp_path, "--force")

    assert kept == "mine\n"
    assert "kept, changed here: otel/rabbitmq.conf" in told.output
    assert "--force" in told.output
    assert "replaced: otel/rabbitmq.conf" in forced.output
    assert changed.read_bytes() == (folder() / "otel" / "rabbitmq.conf").read_bytes()
    assert values(tmp_path / ".env")["MINE"] == "1"


@pytest.mark.parametrize("ends", ["\n", ""])
def test_a_half_filled_file_gets_what_is_missing(tmp_path, ends):
    mine = f"# mine\nREDIS_PASSWORD=mine\nPOSTGRES_PASSWORD=\nexport LANGFUSE_SALT = salt{ends}"
    (tmp_path / ".env").write_text(mine)

    done = init(tmp_path)

    text = (tmp_path / ".env").read_text()
    assert text.startswith(mine)
    assert values(tmp_path / ".env")["REDIS_PASSWORD"] == "mine"
    assert values(tmp_path / ".env")["POSTGRES_PASSWORD"] != ""
    assert text.count("LANGFUSE_SALT") == 1
    assert "added POSTGRES_PASSWORD, SERVICE_DB_PASSWORD" in done.output
    assert "REDIS_PASSWORD" not in done.output.partition("added")[2].partition("\n")[0].split(", ")


def test_ten_at_once_make_one_file(tmp_path):
    path = tmp_path / ".env"

    with ThreadPoolExecutor(10) as pool:
        added = list(pool.map(lambda _: envfile.complete(path), range(10)))

    assert sorted(map(len, added)) == [0] * 9 + [len(envfile.REQUIRED)]
    assert len(re.findall("(?m)^REDIS_PASSWORD=", path.read_text())) == 1


def test_two_processes_at_once_agree(tmp_path):
    command = [sys.executable, "-m", "why504.cli", "init", str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    said = [process.communicate(timeout=60)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert sum("made: " in each for each in said) == 1
    assert not [path for path in tmp_path.rglob("tmp*") if path.is_file()]
    for name in envfile.REQUIRED:
        assert len(re.findall(f"(?m)^{name.name}=", (tmp_path / ".env").read_text())) == 1


def test_a_file_that_others_may_read_is_told(tmp_path):
    init(tmp_path)
    (tmp_path / ".env").chmod(0o644)

    assert f"chmod 600 {tmp_path / '.env'}" in init(tmp_path).output


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    (tmp_path / "file").write_text("")

    done = init(tmp_path / "file" / "stack")

    assert done.exit_code == 2
    assert "can't be written to: Not a directory" in " ".join(done.output.split())


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    if os.geteuid() == 0:
        os.chmod(tmp_path, 0o755)
        refused = _as_nobody(tmp_path)
    else:
        tmp_path.chmod(0o555)
        refused = init(tmp_path).output

    assert "Permission denied" in refused
    assert not (tmp_path / ".env").exists()


def _as_nobody(path):
    """Return what happens to the files of `.env` under an account that may not write there."""
    program = (
        "import os, sys; os.setgid(65534); os.setuid(65534)\n"
        "from pathlib import Path; from why504.cli import envfile\n"
        "from why504.errors import ConfigError\n"
        "try: envfile.complete(Path(sys.argv[1]) / '.env')\n"
        "except ConfigError as error: print(error)"
    )
    # Imported before the account is changed: that one may not even read a checkout.
    program = "import why504.cli.envfile\n" + program
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_in_a_checkout_only_the_passwords_are_made(tmp_path):
    init(tmp_path)
    before = {path for path in tmp_path.rglob("*")}
    (tmp_path / ".env").unlink()
    command = "from why504.cli import app; app(['init'])"

    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert {path for path in tmp_path.rglob("*")} == before
    assert "written" not in done.stdout
    assert "next: docker compose up -d" in done.stdout
