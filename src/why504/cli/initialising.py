"""`why504 init`: the folder from which Docker Compose starts everything."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer

from why504.cli import envfile
from why504.cli.options import clear_errors
from why504.errors import ConfigError
from why504.stack import folder as stack_folder

CARRIED: Final = (
    "docker-compose.yml",
    "Dockerfile",
    ".dockerignore",
    "pyproject.toml",
    "requirements.lock",
    "README.md",
    "LICENSE",
    "otel",
    "alerts",
    "grafana/provisioning",
    "grafana/dashboards",
    "service",
    "lab",
    "dashboards",
    "docs/causes",
)
"""What Compose reads, and what the image is built of; the package itself comes along."""
_PACKAGE: Final = Path("src/why504")
_LEFT_OUT: Final = frozenset({"__pycache__", "_stack"})
_SHOWN: Final = 10


@dataclass(slots=True)
class Written:
    """What became of the files, by their path below the folder."""

    new: list[Path] = field(default_factory=list)
    same: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    """They say something else here, and were left as they are."""
    replaced: list[Path] = field(default_factory=list)


def init(
    directory: Annotated[
        Path, typer.Argument(help="Folder that is written to; made if it is missing.")
    ] = Path(),
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that were changed; never .env.")
    ] = False,
) -> None:
    """Write what Docker Compose needs, with passwords of its own; in a checkout only these.

    Asks nothing. What is already there is kept, and told.
    """
    with clear_errors():
        source = stack_folder()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            here = directory.resolve() == source.resolve()
            written = Written() if here else _copy(source, directory, force=force)
            added = envfile.complete(directory / ".env")
        except OSError as error:
            raise ConfigError(f"{directory} can't be written to: {error.strerror}") from error
    _tell(directory, written, added)


def _copy(source: Path, target: Path, *, force: bool) -> Written:
    written = Written()
    for below, file in _files(source):
        path, content = target / below, file.read_bytes()
        if not path.exists():
            written.new.append(below)
        elif path.read_bytes() == content:
            written.same.append(below)
            continue
        elif not force:
            written.kept.append(below)
            continue
        else:
            written.replaced.append(below)
        _place(target, below, content)
    return written


def _files(source: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each file as it is to lie below the folder, and where it is now."""
    for name in CARRIED:
        root = source / name
        for file in [root] if root.is_file() else sorted(root.rglob("*")):
            below = file.relative_to(source)
            if file.is_file() and _LEFT_OUT.isdisjoint(below.parts):
                yield below, file
    package = Path(__file__).parents[1]
    for file in sorted(package.rglob("*")):
        below = file.relative_to(package)
        if file.is_file() and _LEFT_OUT.isdisjoint(below.parts):
            yield _PACKAGE / below, file


def _place(target: Path, below: Path, content: bytes) -> None:
    """Write a file, whole or not at all, so that the accounts in the containers may read it."""
    for parent in reversed(below.parents):
        if not (target / parent).is_dir():
            (target / parent).mkdir(exist_ok=True)
            # Whatever the umask is: containers run under other accounts.
            (target / parent).chmod(0o755)
    with tempfile.NamedTemporaryFile(dir=(target / below).parent, delete=False) as file:
        file.write(content)
    os.chmod(file.name, 0o644)
    os.replace(file.name, target / below)


def _tell(directory: Path, written: Written, added: Sequence[str]) -> None:
    if written.new:
        typer.echo(f"written: {len(written.new)} files in {directory.resolve()}")
    for what, paths in (("replaced", written.replaced), ("kept, changed here", written.kept)):
        for path in paths[:_SHOWN]:
            typer.echo(f"{what}: {path}")
        if len(paths) > _SHOWN:
            typer.echo(f"{what}: {len(paths) - _SHOWN} more")
    if written.kept:
        typer.echo("`--force` replaces them")
    env = directory / ".env"
    if len(added) == len(envfile.REQUIRED):
        typer.echo(f"made: {env}, with passwords of its own")
    else:
        typer.echo(f"kept: {env}" + (f"; added {', '.join(added)}" if added else ""))
    if envfile.read_by_others(env):
        typer.echo(f"others may read your passwords: chmod 600 {env}", err=True)
    for path in _unreadable(directory)[:_SHOWN]:
        typer.echo(f"no container can read it: chmod -R o+rX {path}", err=True)
    begin = "" if directory.resolve() == Path.cwd() else f"cd {directory} && "
    typer.echo(f"next: {begin}docker compose up -d")
    typer.echo(f"or, to see an incident: {begin}docker compose --profile demo up")


def _unreadable(directory: Path) -> list[Path]:
    """Return what is mounted into containers and can't be read there."""
    roots = [directory / name for name in ("otel", "alerts", "grafana")]
    found = [path for root in roots for path in [root, *root.rglob("*")]]
    return [path for path in found if path.exists() and not path.stat().st_mode & 0o004]
