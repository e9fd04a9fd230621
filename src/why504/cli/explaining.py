"""`why504 explain`: from a stretch of time to its incidents."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from why504 import report
from why504.cli.boxes import store_of
from why504.cli.options import DEFAULT_STORE, Json, Metrics, Store, clear_errors
from why504.errors import ConfigError
from why504.model import Evidence, Incident, Window
from why504.stores.base import EvidenceStore

if TYPE_CHECKING:
    from why504.diagnose.standstill import Standstill


def explain(
    *,
    store: Store = DEFAULT_STORE,
    metrics: Metrics = "",
    last: Annotated[
        str | None,
        typer.Option(
            help="How far back: 90s, 15m, 2h, 1d, or all. By default 1h, of a black box all."
        ),
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="ISO time, UTC by default.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="ISO time, UTC by default.")] = None,
    slower_than: Annotated[
        str | None,
        typer.Option(
            help="Also explain requests that took, or are open for, longer: 10s, 500ms. Of a black "
            "box, which no gateway tells anything, 1s by default."
        ),
    ] = None,
    black_box: Annotated[
        Path | None,
        typer.Option(help="Read this file or folder that a probe wrote, instead of a store."),
    ] = None,
    trace: Annotated[str | None, typer.Option(help="Only what happened to this trace.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the report into this SVG file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say why requests timed out.

    With --json a list of incidents. A process that stood still without a request that is seen to
    have waited for it is one of them too, with no victims and a count of 0.
    """
    # The engine needs numpy: a third of a second that no other command has to wait for.
    from why504.diagnose import explain as diagnose
    from why504.diagnose.standstill import standstills

    with clear_errors(), ExitStack() as opened:
        if black_box:
            evidence_store = opened.enter_context(store_of(black_box))
            last, slower_than = last or "all", slower_than or "1s"
        else:
            evidence_store = open_store(store, metrics)
        limit_s = length_ns(slower_than) / 1e9 if slower_than else None
        if trace:
            # Looked for among the victims, so that none may be left out.
            evidence = evidence_store.evidence(_around(evidence_store, trace))
        else:
            window = _asked_for(evidence_store, last, start, end)
            evidence = evidence_store.sample(window, slower_than_s=limit_s)
        incidents = diagnose(evidence, slower_than_s=limit_s, what_if=True)
    still: Sequence[Standstill] = ()
    if trace:
        incidents = _of_trace(trace, incidents)
    else:
        still = standstills(evidence, limit_s)
    if as_json:
        told = [*incidents, *_as_incidents(still, incidents, evidence)]
        typer.echo(json.dumps([report.as_json(incident) for incident in told], indent=2))
        return
    _print_incidents(incidents, evidence, still, boxed=bool(black_box))
    if picture and incidents:
        with clear_errors():
            _draw(incidents[-1], picture)


def _as_incidents(
    still: Sequence[Standstill], incidents: Sequence[Incident], evidence: Evidence
) -> list[Incident]:
    """Return the standstills that no incident tells of, in the shape of incidents."""
    from why504.diagnose.engine import blamer_of
    from why504.diagnose.standstill import as_incident, unsuffered

    left = unsuffered(still, incidents)
    if not left:
        return []
    blamer = blamer_of(evidence)
    return [as_incident(one, blamer) for one in left]


def _draw(incident: Incident, picture: Path) -> None:
    try:
        picture.write_text(report.as_svg(incident), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"can't write {picture}: {error.strerror}") from error


def open_store(store: Path, metrics: str) -> EvidenceStore:
    """Return the embedded store in a folder, or Tempo if an address is named.

    Args:
        store: the folder or address.
        metrics: Prometheus' address; empty: no metrics are read.

    Raises:
        ConfigError: there is no such folder, or an address or a setting makes no sense.
    """
    from why504.stores import opening

    if not opening.may_tell(store):
        raise ConfigError(
            f"{store} is no folder; start `why504 receive --store {store}`, "
            "or try `why504 demo` first"
        )
    return opening.open_store(store, metrics)


def _of_trace(trace: str, incidents: Sequence[Incident]) -> list[Incident]:
    """Return what happened to a trace: of each incident only that victim."""
    mine = ((i, [v for v in i.victims if v.trace_id == trace]) for i in incidents)
    return [replace(incident, victims=victims) for incident, victims in mine if victims]


def _asked_for(
    store: EvidenceStore, last: str | None, start: str | None, end: str | None
) -> Window:
    """Return the time that was asked for: by default the last hour."""
    if last == "all" and not (start or end):
        return store.extent() or Window(0, 0)
    return _window("1h" if last in (None, "all") else last, start, end)


def _window(last: str, start: str | None, end: str | None) -> Window:
    end_ns = _instant(end) if end else time.time_ns()
    return Window(_instant(start) if start else end_ns - length_ns(last), end_ns)


def _around(store: EvidenceStore, trace: str) -> Window:
    """Return the life of a trace, and a minute on each side for those who held it up."""
    if not re.fullmatch("[0-9a-f]{32}", trace):
        raise ConfigError(f"{trace!r} is no trace id: 32 hexadecimal digits are")
    evidence = store.trace(trace)
    if not evidence.spans:
        raise ConfigError(f"trace {trace} is not in the store")
    minute_ns = 60 * 10**9
    return Window(evidence.window.start_ns - minute_ns, evidence.window.end_ns + minute_ns)


def _instant(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no ISO time, such as 2026-11-23T23:04:10") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e9)


def length_ns(text: str) -> int:
    """Return how long `90s`, `15m` or `500ms` is.

    Raises:
        ConfigError: it is no length of time.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|[smhd])", text)
    if match is None:
        raise ConfigError(f"{text!r} is no length of time, such as 90s, 15m, 2h or 1d")
    seconds = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
    return int(float(match[1]) * seconds * 1e9)


def _late(evidence: Evidence) -> str:
    """Return since when not all is known, for people; empty where all is."""
    if evidence.settled_ns is None or evidence.window.end_ns <= evidence.settled_ns:
        return ""
    settled = datetime.fromtimestamp(evidence.settled_ns / 1e9, tz=UTC)
    return f"What ended after {settled:%H:%M:%S} UTC the trace store may not find yet."


def _print_incidents(
    incidents: Sequence[Incident],
    evidence: Evidence,
    still: Sequence[Standstill],
    *,
    boxed: bool,
) -> None:
    from why504.diagnose.counted import unseen
    from why504.diagnose.unheard import advice_on_silence

    console = Console()
    if not incidents:
        roots = sum(span.kind == "server" and span.parent_id is None for span in evidence.spans)
        requests = evidence.sample.requests if evidence.sample else roots
        nothing = report.render_nothing(
            requests,
            unseen(evidence),
            _late(evidence),
            stood_still=bool(still),
            advice=advice_on_silence(evidence, requests, boxed=boxed),
        )
        console.print(nothing)
        for problem in evidence.measured.problems if evidence.measured else ():
            console.print(f"• {report.plain(problem)}", style="dim", markup=False)
    for incident in incidents:
        console.print(report.render(incident))
    # Where an incident tells what to do, that is enough.
    advice = () if incidents else [line for one in still for line in one.advice]
    for line in [*(one.sentence for one in still), *advice]:
        console.print(f"• {report.plain(line)}", markup=False)
