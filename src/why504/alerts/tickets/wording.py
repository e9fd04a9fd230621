"""What a ticket says of an incident. Every line begins with a word of ours, and none is long.

Sizes: 256 characters a title (GitHub; 255 GitLab and Jira), 32,767 a text (Jira).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from why504.alerts.alert import FIRING, Alert
from why504.alerts.cards.text import plain
from why504.alerts.cards.words import word
from why504.alerts.rooms.finding import Finding
from why504.alerts.tickets.port import Note
from why504.alerts.tickets.ticketbook import News

_SHOWN: Final = 8
"""Alerts; the others are named by their fingerprints."""
_STEPS: Final = 8
_LINE, _PARAGRAPH, _MARKS, _TITLE, _NAME = 200, 800, 3_000, 120, 64
"""Characters."""
_SAID: Final = {"summary": _LINE, "description": _PARAGRAPH, "runbook_url": _LINE}
"""Annotations that are told."""
_SIGNS: Final = frozenset(" .,_-·")
_REFERENCE: Final = re.compile(r"\b(g[hl])-(?=\d)", re.IGNORECASE)
"""Another way to write `#7` on GitHub and GitLab."""


def note_of(news: News, language: str, now_ns: int) -> Note:
    """Return the note that tells some news: the first of a ticket, or a comment."""
    states = list({one.alert.identity: one.alert for one in news.changes}.values())
    # What fires is the news.
    states.sort(key=lambda alert: (alert.status != FIRING, alert.level))
    lines = [line for alert in states[:_SHOWN] for line in _about(alert, language)]
    if rest := states[_SHOWN:]:
        marks = " ".join(plain(alert.fingerprint, _NAME) for alert in rest)
        lines.append(_line(word("more", language, number=len(rest)), marks, _MARKS))
    if news.finding:
        lines += _why(news.finding, language)
    if not news.live:
        lines.append(word("over", language, seconds=_lasted_s(news, states, now_ns)))
    return _note(news, lines, states, now_ns)


def bare(news: News, now_ns: int) -> Note:
    """Return the note that tells some news by what was never anybody's text."""
    marks = " ".join(plain(one.alert.fingerprint, _NAME) for one in news.changes)
    return _note(news, [_line("alerts", marks, _MARKS)], [], now_ns)


def title_of(*parts: str) -> str:
    """Return a title of which no tracker reads anything: no mention, reference, emoji or link."""
    told = plain(" · ".join(filter(None, parts)), _TITLE)
    kept = "".join(char if char.isalnum() or char in _SIGNS else " " for char in told)
    return " ".join(_REFERENCE.sub(r"\1 ", kept).split()) or "alert"


def _note(news: News, lines: Sequence[str], states: Sequence[Alert], now_ns: int) -> Note:
    mark = f"why504:{news.incident}"
    if not news.first:
        told = [f"{one.alert.identity}{one.alert.status}" for one in news.changes]
        told += [f"cause={news.finding is not None} live={news.live}"]
        digest = sha256("\x00".join(told).encode("utf-8", "replace")).hexdigest()
        mark = f"{mark}/{digest[:16]}"
    name = states[0].name if states else ""
    return Note(
        mark=mark,
        title=title_of(news.level.name, name, news.service),
        lines=lines,
        since_ns=min(news.opened_ns, now_ns),
    )


def _about(alert: Alert, language: str) -> Iterator[str]:
    yield _line(word(alert.status, language), f"{alert.level.name} {alert.name}")
    yield f"  {word('since', language)}: {_clock(alert.starts_ns)}"
    if alert.ends_ns is not None and alert.status != FIRING:
        lasted_s = max(0, alert.ends_ns - alert.starts_ns) // 10**9
        yield f"  {word('lasted', language)}: {lasted_s} s"
    for name, most in _SAID.items():
        if said := alert.annotations.get(name):
            yield _line(f"  {name}", said, most)
    labels = ", ".join(f"{key}={alert.labels[key]}" for key in sorted(alert.labels))
    yield _line("  labels", labels, _PARAGRAPH)


def _why(finding: Finding, language: str) -> Iterator[str]:
    yield _line(word("cause", language), f"{finding.cause} {finding.title}")
    yield _line("  because", finding.sentence, _PARAGRAPH)
    for step in finding.chain[:_STEPS]:
        yield f"  ↳ {plain(step, _LINE)}"
    if finding.trace_id:
        yield _line("  trace", finding.trace_id)


def _lasted_s(news: News, states: Sequence[Alert], now_ns: int) -> int:
    ends_ns = [alert.ends_ns for alert in states if alert.ends_ns is not None]
    return max(0, max(ends_ns, default=now_ns) - news.opened_ns) // 10**9


def _line(label: str, told: str, most: int = _LINE) -> str:
    return f"{label}: {plain(told, most)}"


def _clock(time_ns: int) -> str:
    # Not by a float: the last second of the year 9999 would be no time any more.
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_ns // 10**9)
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
