"""Reads the limits that are in force, each source by itself, as `why504 doctor` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import streamlit as st

from dashboards.settings import Settings
from why504.errors import MissingExtra, Why504Error
from why504.ladder.examine import Diagnosis, Ladder, examine
from why504.ladder.rung import Rung

FRESH_S: Final = 10
_AT_ONCE: Final = 8


class Answer(NamedTuple):
    """What one source told."""

    source: str
    """For people; of a database never its address, which holds a password."""
    rungs: Sequence[Rung]
    connections: int | None = None
    """Connections that a database server gives out."""
    problem: str = ""
    """Why it told nothing; empty if it did."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was read, and what that means."""

    diagnosis: Diagnosis
    read: Sequence[str]
    """Sources that told something."""
    problems: Sequence[str]
    """Why others did not, a sentence each."""


def named(settings: Settings) -> bool:
    """Return whether there is anything to read."""
    return any((settings.probes, settings.nginx, settings.limits, settings.postgres))


def check(settings: Settings) -> Checked:
    """Return the ladder as it is now, or was at most ten seconds ago; it takes seconds at most."""
    return _check(settings.probes, settings.nginx, settings.limits, settings.postgres)


def forget() -> None:
    """Have everything read anew by the next check."""
    _check.clear()


@st.cache_resource(ttl=FRESH_S, max_entries=4, show_spinner=False)
def _check(
    probes: Sequence[str], nginx: Path | None, limits: Path | None, postgres: str
) -> Checked:
    asked = [*_probes(probes), *_files(nginx, limits)]
    server = [partial(_postgres, postgres)] if postgres else []
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        answers = list(threads.map(lambda ask: ask(), [*asked, *server]))
    from why504.doctor.sources import without_defaults

    told = [rung for answer in answers[: len(asked)] for rung in answer.rungs]
    room = None
    for answer in answers[len(asked) :]:
        told, room = without_defaults(told, answer.rungs), answer.connections
    return Checked(
        diagnosis=examine(Ladder(told, server_connections=room)),
        read=[answer.source for answer in answers if not answer.problem],
        problems=[answer.problem for answer in answers if answer.problem],
    )


def _probes(urls: Sequence[str]) -> Iterator[Callable[[], Answer]]:
    from why504.doctor.sources import from_probe

    for url in dict.fromkeys(urls):
        address = url.rstrip("/")
        yield partial(_ask, address, partial(from_probe, address))


def _files(nginx: Path | None, limits: Path | None) -> Iterator[Callable[[], Answer]]:
    from why504.doctor.sources import from_file
    from why504.watch.nginxconf import gateway_limits

    if nginx:
        yield partial(_ask, str(nginx), partial(gateway_limits, nginx))
    if limits:
        yield partial(_ask, str(limits), partial(from_file, limits))


def _ask(source: str, read: Callable[[], list[Rung]]) -> Answer:
    """Return what a source tells; one that can't be read must not hide the others."""
    try:
        return Answer(source, read())
    except Why504Error as error:
        return Answer(source, (), problem=str(error))
    except Exception as error:
        return Answer(source, (), problem=f"can't read {source}: {type(error).__name__}")


def _postgres(url: str) -> Answer:
    from why504.doctor.sources import from_postgres

    try:
        rungs, room = from_postgres(url)
    except MissingExtra as error:
        return Answer("PostgreSQL", (), problem=str(error))
    except Exception as error:
        # Its words may repeat the address: of a mistyped one the password may look like the host.
        why = type(error.__cause__ or error).__name__
        return Answer("PostgreSQL", (), problem=f"PostgreSQL can't be asked: {why}")
    return Answer("PostgreSQL", rungs, room)
