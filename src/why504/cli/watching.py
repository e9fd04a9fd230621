"""`why504 now`: what is open this moment, and what it waits for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live as Screen
from rich.table import Table
from rich.text import Text

from why504.cli.explaining import length_ns, open_store
from why504.cli.options import DEFAULT_STORE, Json, Metrics, Store, clear_errors
from why504.diagnose.gauges import Standing, standings
from why504.report import as_json as incident_as_json
from why504.report import plain

if TYPE_CHECKING:
    from why504.diagnose.now import Busy, Holder, Holding, Now, Stuck
    from why504.stores.base import EvidenceStore
    from why504.stores.following import Following

_EVERY_S: Final = 1.0
_MOST_ROWS: Final = 20
"""Of requests; of resources half as many. Everything is in the JSON."""
_SHORT_TRACE: Final = 12


def now(
    *,
    store: Store = DEFAULT_STORE,
    metrics: Metrics = "",
    slower_than: Annotated[
        str, typer.Option(help="A request that is open for longer is explained: 10s, 500ms.")
    ] = "10s",
    watch: Annotated[
        bool, typer.Option("--watch", help="Again each second, until ctrl-C.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what is open now, who has what it waits for, and why.

    With --watch and --json it prints one document a line.
    """
    with clear_errors():
        following = _following(open_store(store, metrics), length_ns(slower_than) / 1e9)
        try:
            if not watch:
                _print(following.look(time.time_ns()), as_json=as_json, indent=2)
            elif as_json:
                _each_second(following)
            else:
                _on_screen(following)
        except KeyboardInterrupt:
            return


def _following(store: EvidenceStore, slow_s: float) -> Following:
    from why504.diagnose.live import Live
    from why504.stores.following import Following

    return Following(store, Live(slow_s=slow_s))


def _each_second(following: Following) -> None:
    while True:
        _print(following.look(time.time_ns()), as_json=True, indent=None)
        time.sleep(_EVERY_S)


def _on_screen(following: Following) -> None:
    with Screen(auto_refresh=False, screen=True) as screen:
        while True:
            screen.update(render_now(following.look(time.time_ns())), refresh=True)
            time.sleep(_EVERY_S)


def _print(told: Now, *, as_json: bool, indent: int | None) -> None:
    if as_json:
        typer.echo(json.dumps(now_as_json(told), indent=indent))
    else:
        Console().print(render_now(told))


def now_as_json(told: Now) -> dict[str, Any]:
    """Return the view as plain data; keys are the fields of `why504.diagnose.now.Now`."""
    return {
        "at_ns": told.at_ns,
        "open": [_stuck_as_json(stuck) for stuck in told.open],
        "resources": [
            {**asdict(busy), "oldest": _holder_as_json(busy.oldest)} for busy in told.resources
        ],
        "timeouts_per_s": list(told.timeouts_per_s),
        "victims": told.victims,
        "explained": told.explained,
        "incidents": [incident_as_json(incident) for incident in told.incidents],
        "silent": list(told.silent),
        "kept": told.kept,
        "dropped": told.dropped,
        "refused": told.refused,
        "holders": [_holding_as_json(holding) for holding in told.holders],
        "limit_s": told.limit_s,
        "heard_ns": told.heard_ns,
        "lag_s": told.lag_s,
        "gauges": [asdict(one) for one in standings(told.measured)],
        "problems": list(told.measured.problems) if told.measured else [],
    }


def _stuck_as_json(stuck: Stuck) -> dict[str, Any]:
    site = str(stuck.site) if stuck.site else None
    return {**stuck._asdict(), "site": site, "held_by": _holder_as_json(stuck.held_by)}


def _holding_as_json(holding: Holding) -> dict[str, Any]:
    sites = {
        name: str(site) if site else None
        for name, site in (("site", holding.site), ("at", holding.at))
    }
    return {**holding._asdict(), **sites}


def _holder_as_json(holder: Holder | None) -> dict[str, Any] | None:
    if holder is None:
        return None
    return {**asdict(holder), "site": str(holder.site) if holder.site else None}


def render_now(told: Now) -> RenderableType:
    """Return the view for a terminal: why, what is busy, what is open."""
    timeouts, last = sum(told.timeouts_per_s), told.timeouts_per_s[-1]
    head = f"{len(told.open)} open, {timeouts} x 504 in the last minute, {last} in the last second"
    parts: list[RenderableType] = [Text(head, style="bold")]
    for incident in told.incidents:
        finding = incident.finding
        said = f"{finding.cause}  {plain(finding.title)}: {plain(finding.sentence)}"
        of = f"  ({told.explained} of {told.victims} victims, {finding.confidence:.0%} of blame)"
        parts.append(Text(said, style="bold yellow").append(of, style="not bold dim"))
    parts += _gauges(told)
    if told.silent:
        silent = plain(", ".join(told.silent))
        parts.append(Text(f"not heard of for a minute: {silent}", style="red"))
    if told.dropped:
        parts.append(Text(f"{told.dropped} spans and records had to be dropped", style="red"))
    return Group(*parts, Text(), _resources(told.resources), Text(), _requests(told.open))


def _gauges(told: Now) -> Iterator[RenderableType]:
    """Yield what gauges tell, a line a service, and what is late or could not be read."""
    if told.lag_s:
        when = datetime.fromtimestamp(told.at_ns / 1e9, tz=UTC)
        said = f"as of {when:%H:%M:%S} UTC: the trace store shows what is {told.lag_s:g} s old"
        yield Text(said, style="dim")
    for one in standings(told.measured):
        yield Text(plain(_standing(one)), style="cyan")
    for problem in told.measured.problems if told.measured else ():
        yield Text(plain(problem), style="red")


def _standing(one: Standing) -> str:
    parts = [f"{one.open} in flight"] if one.open is not None else []
    parts += [f"the oldest for {one.oldest_s:.1f} s"] if one.oldest_s else []
    parts += [f"event loop blocked for {one.stall_s:.1f} s"] if one.stall_s else []
    for taken in one.taken:
        units = f"{taken.in_use} of {taken.capacity}" if taken.capacity else str(taken.in_use)
        parts.append(f"{taken.name} {units} in use, {taken.waiting} wait")
    return f"by gauges, {one.service} ({one.processes} processes): {'; '.join(parts)}"


def _resources(resources: Any) -> RenderableType:
    table = _table("waiters", "longest", "held", "resource", "oldest holder")
    for busy in resources[: _MOST_ROWS // 2]:
        table.add_row(*_cells(*_busy_cells(busy)))
    return _with_rest(table, len(resources) - _MOST_ROWS // 2, "resources")


def _busy_cells(busy: Busy) -> tuple[str, ...]:
    held = f"{busy.units} of {busy.capacity}" if busy.capacity else str(busy.units)
    where = f"{busy.resource} of {busy.instance}" if busy.instance else busy.resource
    return str(busy.waiters), f"{busy.longest_wait_s:.1f} s", held, where, _holder(busy.oldest)


def _requests(requests: Any) -> RenderableType:
    table = _table("frees", "age", "504", "route", "does", "at", "held by", "trace")
    for stuck in requests[:_MOST_ROWS]:
        table.add_row(*_cells(*_stuck_cells(stuck)))
    return _with_rest(table, len(requests) - _MOST_ROWS, "requests")


def _stuck_cells(stuck: Stuck) -> tuple[str, ...]:
    return (
        str(stuck.frees or ""),
        f"{stuck.age_s:.1f} s",
        str(stuck.gateway_status or ""),
        stuck.route,
        stuck.does,
        str(stuck.site or ""),
        _holder(stuck.held_by),
        stuck.trace_id[:_SHORT_TRACE] + "…",
    )


def _holder(holder: Holder | None) -> str:
    if holder is None:
        return ""
    at = f" at {holder.site}" if holder.site else ""
    over = ", whose request is over" if holder.request_ended else ""
    return f"{holder.route} for {holder.age_s:.1f} s{at}{over}"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _cells(*texts: str) -> tuple[Text, ...]:
    return tuple(Text(plain(text)) for text in texts)


def _with_rest(table: Table, left: int, what: str) -> RenderableType:
    return Group(table, Text(f"and {left} more {what}", style="dim")) if left > 0 else table
