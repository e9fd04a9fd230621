"""How an incident reads: in a terminal, and as JSON for machines.

What comes from telemetry is text, never markup: it is laid into `Text`, control characters dropped.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from why504.model import LEAST_SHARE, Incident, Replay, Victim, how_many

_BAR_CELLS = 24
_MOST_BLAMES = 5
_MOST_ROWS = 8
_SHORT_TRACE = 12
_PICTURE_COLUMNS = 118
_STUCK_KEYS = ("route", "state", "site", "trace_id")


def render(incident: Incident) -> RenderableType:
    """Return the report of one incident for a terminal: sentence, chain, evidence, what to do."""
    finding = incident.finding
    title = Text(f"{finding.cause}  {plain(finding.title)}", style="bold")
    place = Text(f"mechanism: {finding.mechanism}", style="dim")
    if finding.site:
        place.append(f"   line: {plain(str(finding.site))}", style="not dim bold cyan")
    parts: list[RenderableType] = [
        Text(plain(finding.sentence), style="bold yellow"),
        place,
        _headed("How it came to that", _chain(incident)),
        _headed("Where the time went", _blames(incident)),
        _headed("Requests", _counts(incident)),
        _headed("For", _lines(finding.evidence_for)),
        _headed("Against", _lines(finding.evidence_against)),
        _headed("What to do", _lines(finding.advice)),
    ]
    if incident.replay is not None:
        parts.insert(-1, _headed("What would have helped", _what_if(incident.replay)))
    if incident.caveats:
        parts.insert(-1, _headed("Bear in mind", _lines(incident.caveats)))
    when = f"incident {incident.id} · {_clock(incident.window.start_ns)}"
    return Panel(
        Group(*parts),
        title=title,
        subtitle=f"{when} to {_clock(incident.window.end_ns)} UTC",
        border_style="red",
        padding=(1, 2),
    )


def render_nothing(
    requests: int,
    unseen: str = "",
    late: str = "",
    *,
    stood_still: bool = False,
    advice: Sequence[str] = (),
) -> RenderableType:
    """Return the report of a window in which nobody timed out, or nobody was heard of.

    Args:
        requests: how many spans tell of.
        unseen: what counters tell, of which there is no span; empty if nothing.
        late: until when all is known, where that is not until the end; empty if it is.
        stood_still: whether an event loop did: who waits for it may not be seen.
        advice: what helps where nobody was heard of.
    """
    if unseen:
        text = f"No span tells of a request that timed out ({requests} requests seen), but"
        return Panel(Text(plain(f"{text} {unseen}.")), border_style="red")
    if stood_still:
        text = f"No request is seen to have timed out ({requests} requests seen), but a process"
        return Panel(
            Text(f"{text} stood still: who waited for it is not seen. This is no all-clear."),
            border_style="red",
        )
    if requests == 0:
        text = "No gateway request was received for this time: this is no all-clear."
        return Panel(_with_advice(text, advice), border_style="yellow")
    text = f"No request timed out ({requests} requests seen). Nothing is blamed."
    told = _with_advice(f"{text} {late}".strip(), advice)
    return Panel(told, border_style="yellow" if advice else "green")


def _with_advice(text: str, advice: Sequence[str]) -> RenderableType:
    said = Text(plain(text))
    return Group(said, _headed("What to do", _lines(advice))) if advice else said


def render_victims(victims: Sequence[Victim]) -> RenderableType:
    """Return the requests that timed out, alike ones in one row, most frequent first."""
    groups: dict[tuple[str, str, str], list[Victim]] = defaultdict(list)
    for victim in sorted(victims, key=lambda victim: victim.gave_up_ns):
        held_by = victim.held_by or victim.leaf.what
        groups[victim.route, victim.blocked_in, held_by].append(victim)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", justify="right")
    for heading in ("route", "blocked in", "held by"):
        table.add_column(heading, overflow="fold")
    table.add_column("for example", no_wrap=True)
    ordered = sorted(groups.items(), key=lambda group: -how_many(group[1]))
    for cells, alike in ordered[:_MOST_ROWS]:
        row = (f"{how_many(alike)} x", *cells, alike[0].trace_id[:_SHORT_TRACE] + "…")
        table.add_row(*(Text(plain(cell)) for cell in row))
    left = len(ordered) - _MOST_ROWS
    return Group(table, Text(f"and {left} more kinds", style="dim")) if left > 0 else table


def render_stuck(answer: dict[str, Any]) -> RenderableType:
    """Return what `/debug/requests` told as a table, oldest first."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("age", "route", "state", "at", "trace"):
        table.add_column(heading, overflow="fold")
    requests = sorted(answer.get("requests", []), key=lambda r: -float(r.get("age_s", 0)))
    for row in requests:
        cells = (f"{row.get('age_s', 0):.1f} s", *(row.get(k) for k in _STUCK_KEYS))
        table.add_row(*(Text(plain(str(cell or ""))) for cell in cells))
    head = Text(
        f"process {answer.get('pid')} of {plain(str(answer.get('service', '')))}: "
        f"{len(requests)} requests in flight",
        style="bold",
    )
    loops = [
        Text(plain(f"event loop stands still for {loop['stalled_s']:.1f} s at {loop['site']}"),
             style="red")
        for loop in answer.get("loops", [])
        if loop.get("stalled_s")
    ]  # fmt: skip
    return Group(head, *loops, table)


def as_svg(incident: Incident) -> str:
    """Return the report of one incident as a picture of a terminal that needs nothing else."""
    console = Console(record=True, width=_PICTURE_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(render(incident))
    # Rich's own template fetches a font from a network; a picture must stand alone.
    template = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="why504 explain", code_format=template)


def as_json(incident: Incident) -> dict[str, Any]:
    """Return an incident as plain data; keys are the fields of `why504.model.Incident`."""
    document = asdict(incident)
    document["routes"] = incident.routes
    document["count"] = incident.count
    document["finding"]["site"] = str(incident.finding.site) if incident.finding.site else None
    for row, victim in zip(document["victims"], incident.victims, strict=True):
        row["explained"] = victim.explained
    return document


def plain(text: str, most: int = 2_000) -> str:
    """Return text from telemetry fit to print: one line, no control or bidi characters, bounded."""
    clean = "".join(
        " " if character in "\n\t" else character
        for character in text[:most]
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    )
    return clean + ("…" if len(text) > most else "")


def _headed(heading: str, body: RenderableType) -> RenderableType:
    return Group(Text(f"\n{heading}", style="dim"), Padding(body, (0, 0, 0, 2)))


def _lines(lines: Iterable[str]) -> RenderableType:
    return Group(*(Text(f"• {plain(line)}") for line in lines))


def _chain(incident: Incident) -> RenderableType:
    links = incident.finding.chain
    tree = Tree(_link(links[0].what, links[0].evidence, first=True), guide_style="dim")
    branch = tree
    for number, link in enumerate(links[1:], start=1):
        last = number == len(links) - 1
        branch = branch.add(_link(link.what, link.evidence, last=last))
    return tree


def _link(what: str, evidence: Sequence[str], *, first: bool = False, last: bool = False) -> Text:
    style = "bold red" if last else "bold" if first else ""
    text = Text(plain(what), style=style)
    for line in evidence:
        text.append(f"\n{plain(line)}", style="not bold dim default")
    return text


def _blames(incident: Incident) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False)
    worth = [blame for blame in incident.blames if blame.share >= LEAST_SHARE]
    for blame in worth[:_MOST_BLAMES]:
        cells = max(1, round(blame.share * _BAR_CELLS))
        at = f"  {blame.leaf.site}" if blame.leaf.site else ""
        table.add_row(
            Text("█" * cells, style="yellow" if blame.leaf.kind == "unknown" else "red"),
            Text(f"{blame.share:.0%}"),
            Text(f"{blame.seconds:,.1f} s"),
            Text(plain(f"{blame.leaf.what}{at}")),
        )
    return table


def _what_if(replay: Replay) -> RenderableType:
    """Return what the replay says, or why it says nothing."""
    if replay.why_not:
        return Text(plain(f"not known: {replay.why_not}"), style="dim")
    if not replay.tried:
        return Text("nothing that can be tried out", style="dim")
    lines = []
    for tried in replay.tried:
        also = f", and {tried.new} more" if tried.new else ""
        lines.append(
            f"if {tried.change}: {tried.left} of {tried.victims} would have timed out{also}"
        )
    faith = f"played again unchanged, {replay.same} of {replay.requests} requests fare as they did"
    return Group(_lines(lines), Text(faith, style="dim"))


def _counts(incident: Incident) -> RenderableType:
    victims = incident.victims
    explained = how_many(victim for victim in victims if victim.explained)
    unseen = how_many(victim for victim in victims if not victim.reached_app)
    people = "" if incident.people is None else f" of at least {incident.people} users"
    summary = (
        f"{incident.count}{people} {_ended(victims)}, {explained} traced to where their time went, "
        f"{incident.count - explained} not; "
        f"{unseen} never seen by the application. {_by_counter(incident)}"
        f"Lost: {incident.blame_in_s:,.1f} s, accounted for: {incident.blame_out_s:,.1f} s."
    )
    return Group(Text(summary), Text(), render_victims(victims))


def _by_counter(incident: Incident) -> str:
    if incident.counted is None:
        return ""
    return f"The gateway's counter has {incident.counted} x 504 of that time. "


def _ended(victims: Sequence[Victim]) -> str:
    """Return how they ended, for people, most frequent first: `timed out`, `were slow`."""
    words = {"timeout": "timed out", "slow": "were slow", "in flight": "are still open"}
    ways = Counter(words[victim.how] for victim in victims).most_common()
    return " or ".join(way for way, _ in ways)


def _clock(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, tz=UTC).strftime("%H:%M:%S")
