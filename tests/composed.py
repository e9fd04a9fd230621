"""docker-compose.yml as Docker Compose itself understands it, without Docker."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from why504.cli import envfile

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docker-compose.yml"
PROFILES = ("standins", "demo", "nightly", "langfuse")


def compose(*arguments: str, env: Path, profiles: Sequence[str] = PROFILES) -> str:
    """Return what `docker compose` prints; env: the file of settings.

    Raises:
        subprocess.CalledProcessError: it refused; its stderr says why.
    """
    command = [str(Path(sys.executable).with_name("docker-compose"))]
    command += ["--project-directory", str(ROOT), "-f", str(FILE), "--env-file", str(env)]
    command += [part for profile in profiles for part in ("--profile", profile)]
    ours = {"PATH": os.environ["PATH"]}  # no variable of whoever runs the tests
    return subprocess.run(
        [*command, *arguments], env=ours, capture_output=True, text=True, check=True, timeout=30
    ).stdout


@functools.cache
def rendered(number: int = 0) -> dict[str, Any]:
    """Return the whole file with all profiles, and the passwords of folder `number`."""
    with tempfile.TemporaryDirectory() as folder:
        env = Path(folder) / ".env"
        envfile.complete(env)
        document: dict[str, Any] = json.loads(compose("config", "--format", "json", env=env))
    return document


def services(number: int = 0) -> dict[str, dict[str, Any]]:
    """Return the services by name."""
    found: dict[str, dict[str, Any]] = rendered(number)["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    """Return the services that run our own image."""
    return {name: one for name, one in services().items() if one["image"].startswith("why504:")}


def environment(service: dict[str, Any]) -> dict[str, str]:
    """Return what a service finds in its environment."""
    return {name: value or "" for name, value in (service.get("environment") or {}).items()}


def words(service: dict[str, Any]) -> list[str]:
    """Return a service's command, as the container gets it: `config` doubles each `$`."""
    return [word.replace("$$", "$") for word in service.get("command") or ()]
