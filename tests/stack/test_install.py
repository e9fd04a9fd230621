"""`make install` on machines that lack something says what to do."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path):
    """An empty checkout, and a folder of programs that hides every Python of this machine."""
    checkout, programs = tmp_path / "checkout", tmp_path / "programs"
    checkout.mkdir()
    programs.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    for name in ("make", "sh", "grep", "echo", "touch"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    return checkout, programs


def python_that(programs: Path, script: str) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        path = programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def install(checkout: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "install"],
        cwd=checkout,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_without_any_python_it_says_which_is_needed_and_how_to_name_it(machine):
    done = install(*machine)

    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "make install PYTHON=" in done.stderr


def test_an_old_python_is_not_taken(machine):
    checkout, programs = machine
    python_that(programs, "exit 1")

    done = install(checkout, programs)

    assert "needs Python 3.11 or newer" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_says_which_package_brings_it(machine):
    checkout, programs = machine
    python_that(programs, 'case "$2" in *ensurepip*) exit 1;; esac')

    done = install(checkout, programs)

    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stderr


def test_a_failed_installation_is_tried_again(machine):
    checkout, programs = machine
    python_that(programs, 'case "$1" in -m) exit 3;; esac')

    first, second = install(checkout, programs), install(checkout, programs)

    assert first.returncode != 0
    assert second.returncode != 0
    assert not (checkout / ".venv" / ".installed").exists()
