"""How a look at a hung process reads: in a terminal, and as JSON for machines.

Names of threads, paths and addresses come from the other process: text, never markup.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from why504.diagnose.causes import UNKNOWN
from why504.diagnose.hung.guess import Guess
from why504.diagnose.hung.known import name_of, peer_at
from why504.diagnose.hung.scene import Doing, Scene, alike
from why504.diagnose.hung.snapshot import Facts, Socket
from why504.diagnose.hung.stacks import is_own, place
from why504.report import plain

_MOST_FRAMES: Final = 12
_MOST_GROUPS: Final = 12
_MEGABYTE: Final = 1 << 20
NEXT_TIME: Final = (
    "Next time know which request, and who holds what: `pip install why504`, and "
    "`why504.instrument(app)` where the application is made."
)


def render(scene: Scene, guess: Guess) -> RenderableType:
    """Return one look for a terminal: the guess, what is seen, and what to do."""
    facts = scene.look.facts
    parts: list[RenderableType] = [Text(plain(guess.sentence), style="bold yellow")]
    if guess.site:
        parts.append(Text(f"line: {plain(place(guess.site))}", style="bold cyan"))
    main, others = scene.doings[:1], scene.doings[1:]
    parts += [_headed("Main thread", _main(one)) for one in main]
    if others:
        parts.append(_headed("Other threads", _others(others)))
    if scene.look.sockets or scene.look.listeners:
        parts.append(_headed("Connections", _connections(scene)))
    parts.append(_headed("Process", _lines(_process(facts))))
    for heading, lines in (
        ("For", guess.evidence_for),
        ("Against", guess.evidence_against),
        ("Not seen", scene.look.unseen),
        ("What to do", [*guess.advice, *_further(guess, facts), NEXT_TIME]),
    ):
        if lines:
            parts.append(_headed(heading, _lines(lines)))
    return Panel(
        Group(*parts),
        title=Text(f"{guess.cause}  {plain(guess.title)}", style="bold"),
        subtitle=f"a first guess, from {scene.look.samples} looks in {facts.window_s:.1f} s "
        f"at process {facts.pid}",
        border_style="yellow" if guess.cause in (UNKNOWN, "N0") else "red",
        padding=(1, 2),
    )


def as_json(scene: Scene, guess: Guess) -> dict[str, Any]:
    """Return one look as plain data: `guess`, `process`, `threads`, `sockets`, `listeners`."""
    told = asdict(guess)
    told["site"] = place(guess.site) if guess.site else None
    return {
        "guess": told,
        "process": asdict(scene.look.facts),
        "samples": scene.look.samples,
        "threads": [_thread(doing) for doing in scene.doings],
        "sockets": [
            {**asdict(one), "peer": peer_at(one).kind, "owes": one in scene.owing,
             "waits": one in scene.unanswered}
            for one in scene.look.sockets
        ],
        "listeners": [asdict(one) for one in scene.look.listeners],
        "unseen": list(scene.look.unseen),
    }  # fmt: skip


def _thread(doing: Doing) -> dict[str, Any]:
    thread = doing.thread
    return {
        "tid": thread.tid,
        "name": thread.name,
        "does": doing.kind,
        "words": doing.words,
        "peer": doing.peer,
        "site": place(doing.site) if doing.site else None,
        "stuck": thread.stuck,
        "cpu_s": thread.cpu_s,
        "system_call": thread.call,
        "stack": [f"{place(frame)} {frame.function}" for frame in thread.frames],
    }


def _main(doing: Doing) -> RenderableType:
    """Return what the main thread does, then its stack, the application's lines bright."""
    rows = [Text(plain(_sentence(doing)), style="bold")]
    frames = doing.thread.frames
    for frame in frames[:_MOST_FRAMES]:
        style = "cyan" if is_own(frame) else "dim"
        rows.append(Text(plain(f"{place(frame)}  {frame.function}"), style=style))
    if len(frames) > _MOST_FRAMES:
        rows.append(Text(f"and {len(frames) - _MOST_FRAMES} more outside of it", style="dim"))
    return Group(*rows)


def _sentence(doing: Doing) -> str:
    thread = doing.thread
    if not doing.busy:
        return doing.words
    moved = "did not move" if thread.stuck else f"same stack in {thread.same} of {thread.samples}"
    return f"{doing.words} ({moved})"


def _others(doings: Sequence[Doing]) -> RenderableType:
    """Return threads with equal stacks as one row, the busy ones first."""
    table = _table("", "thread", "does", "at")
    rows = sorted(alike(doings), key=lambda row: (not row[1].busy, -row[0]))
    for count, doing in rows[:_MOST_GROUPS]:
        name = doing.thread.name or f"thread {doing.thread.tid}"
        more = f" and {count - 1} more" if count > 1 else ""
        where = place(doing.site) if doing.site and doing.busy else ""
        _row(table, f"{count} x", name + more, _sentence(doing), where)
    left = sum(count for count, _ in rows[_MOST_GROUPS:])
    return Group(table, Text(f"and {left} more threads", style="dim")) if left else table


def _connections(scene: Scene) -> RenderableType:
    """Return connections that are alike as one row, those that somebody waits for first."""
    owing, waiting = set(map(id, scene.owing)), set(map(id, scene.unanswered))
    groups: dict[tuple[str, str, str], list[Socket]] = defaultdict(list)
    for one in scene.look.sockets:
        who = f"clients of port {one.local_port}" if one.incoming else name_of(one)
        state = "owes us" if id(one) in owing else "waits for us" if id(one) in waiting else ""
        groups[who, one.state, state].append(one)
    table = _table("", "with", "state", "", "unacknowledged", "unread", "sent", "received")
    ordered = sorted(groups.items(), key=lambda group: (not group[0][2], -len(group[1])))
    for key, alike_ones in ordered[:_MOST_GROUPS]:
        unsent = sum(one.unsent for one in alike_ones)
        unread = sum(one.unread for one in alike_ones)
        ages = (
            _ago([(one.sent_ago_s, one.sent_bytes) for one in alike_ones]),
            _ago([(one.received_ago_s, one.received_bytes) for one in alike_ones]),
        )
        _row(table, f"{len(alike_ones)} x", *key, _bytes(unsent), _bytes(unread), *ages)
    rows: list[RenderableType] = [table]
    if len(ordered) > _MOST_GROUPS:
        rows.append(Text(f"and {len(ordered) - _MOST_GROUPS} more kinds", style="dim"))
    for port in scene.look.listeners:
        full = " FULL: the kernel turns clients away" if port in scene.full else ""
        room = f" of {port.room}" if port.room is not None else ""
        said = f"listens on {port.address}:{port.port}, {port.waiting}{room} wait to be accepted"
        rows.append(Text(plain(said + full), style="bold red" if full else ""))
    return Group(*rows)


def _process(facts: Facts) -> list[str]:
    """Return what the kernel says of the process as a whole."""
    limit = facts.memory_limit_bytes
    memory = f"memory {facts.rss_bytes / _MEGABYTE:.0f} MB"
    memory += f" of {limit / _MEGABYTE:.0f} MB" if limit else ", no limit seen"
    if facts.throttled_s is None:
        throttled = "throttling is not told"
    else:
        throttled = f"its cgroup was throttled for {facts.throttled_s:.1f} s"
    lines = [
        facts.command,
        f"CPU: {facts.cpu_s:.1f} s in {facts.window_s:.1f} s; {throttled}",
        f"{memory}; {facts.fds} descriptors of {facts.fd_limit or 'any number'}",
        f"state {facts.state}, there for {facts.age_s / 60:.0f} min",
    ]
    children = ", ".join(str(child.pid) for child in facts.children[:_MOST_GROUPS])
    if children:
        lines.append(f"{len(facts.children)} Python processes below it: {children}")
    return lines


def _further(guess: Guess, facts: Facts) -> list[str]:
    lines = [f"Read {guess.page}."] if guess.page else []
    if facts.children:
        lines.append(f"Look at its children as well: why504 attach {facts.pid} --children")
    return lines


def _ago(told: Sequence[tuple[float | None, int | None]]) -> str:
    """Return when the least recent one was: that is the one that hangs."""
    ages_s = [age_s for age_s, _ in told if age_s is not None]
    if not ages_s:
        return "?"
    # The handshake counts as a byte.
    ever = any(count is None or count > 1 for _, count in told)
    return f"{max(ages_s):.1f} s ago" if ever else "never"


def _bytes(count: int) -> str:
    return f"{count} B" if count else ""


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(plain(cell)) for cell in cells))


def _headed(heading: str, body: RenderableType) -> RenderableType:
    return Group(Text(f"\n{heading}", style="dim"), Padding(body, (0, 0, 0, 2)))


def _lines(lines: Sequence[str]) -> RenderableType:
    return Group(*(Text(f"• {plain(line)}") for line in lines))
