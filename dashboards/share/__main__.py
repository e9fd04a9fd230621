"""Writes the post-mortem of an incident: `python -m dashboards.share [INCIDENT] --store PLACE`.

Without a file to write, its Markdown goes to standard output.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dashboards.language import ENGLISH, LANGUAGES, Say
from dashboards.share import writing
from dashboards.share.dossier import Dossier, collect
from why504.diagnose import explain
from why504.errors import ConfigError, Why504Error
from why504.model import Incident
from why504.stores.base import EvidenceStore
from why504.stores.opening import may_tell, open_store

KINDS = ("html", "markdown", "json")


def main(arguments: Sequence[str]) -> int:
    """Write what was asked for; return the exit code: 0, or 2 where it could not be."""
    asked = _parser().parse_args(arguments)
    try:
        dossier = _dossier(asked.store, asked.incident)
        say = Say(asked.lang)
        made: dict[str, Callable[[], str]] = {
            "html": lambda: writing.as_html(dossier, say),
            "markdown": lambda: writing.as_markdown(dossier, say),
            "json": lambda: writing.as_json(dossier),
        }
        files = {kind: getattr(asked, kind) for kind in KINDS if getattr(asked, kind)}
        for kind, file in files.items():
            write(file, made[kind]())
            print(file, file=sys.stderr)
        if not files:
            sys.stdout.write(made["markdown"]())
    except Why504Error as error:
        print(f"why504: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="why504 postmortem", allow_abbrev=False)
    parser.add_argument("incident", nargs="?", default="")
    parser.add_argument("--store", type=Path, required=True)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path)
    parser.add_argument("--lang", choices=sorted(LANGUAGES), default=ENGLISH)
    return parser


def _dossier(folder: Path, incident_id: str) -> Dossier:
    if not may_tell(folder):
        raise ConfigError(f"{folder} is no folder; name one with --store, or Tempo's address")
    store = open_store(folder)
    return collect(store, _incident(store, incident_id), made_ns=time.time_ns())


def _incident(store: EvidenceStore, incident_id: str) -> Incident:
    """Return the incident of that id, which may be cut short; the latest for an empty one.

    Raises:
        ConfigError: there is none, or there are several.
    """
    covered = store.extent()
    found = explain(store.sample(covered)) if covered else []
    if not found:
        raise ConfigError("nothing to tell: no request was given up on, as far as the store knows")
    named = [incident for incident in found if incident.id.startswith(incident_id)]
    if len(named) == 1 or (named and not incident_id):
        return max(named, key=lambda incident: incident.window.start_ns)
    ids = ", ".join(incident.id for incident in found[-10:])
    raise ConfigError(f"{incident_id!r} names {len(named)} incidents; there are {ids}")


def write(file: Path, text: str) -> None:
    """Put a text into a file, in one go: whoever reads it finds the old or the new one whole.

    Raises:
        ConfigError: it can't be written.
    """
    new = file.parent / f".why504-{os.getpid()}"
    try:
        new.write_text(text, encoding="utf-8", errors="replace")
        new.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise ConfigError(f"can't write {file}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
