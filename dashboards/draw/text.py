"""Turns what telemetry says into text that is safe to show: plain, bounded, one meaning.

Span data comes from strangers' requests. Whoever draws it passes it through here, and hands the
result only to elements that interpret nothing (`st.text`, `st.code`, table cells, chart marks).
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, tzinfo

from why504.model import Site

LINE_LIMIT = 300
BLOCK_LINES = 40
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that draw nothing or turn the writing direction."""


def plain(text: str, limit: int = LINE_LIMIT) -> str:
    """Return one line of at most `limit` characters, with invisible characters spelled out."""
    start = text[: limit + 1]
    # What can be printed has neither line ends nor what draws nothing; most texts are of that kind.
    shown = start if start.isprintable() else "".join(_visible(each) for each in start)
    line = shown.strip()
    cut = len(text) > limit or len(line) > limit
    return line[: limit - 1] + "…" if cut else line


def block(text: str) -> str:
    """Return at most 40 lines, each made `plain`; line ends and leading spaces are kept."""
    lines = text[: BLOCK_LINES * LINE_LIMIT * 2].split("\n")
    kept = [" " * _leading(line) + plain(line) for line in lines[:BLOCK_LINES]]
    return "\n".join([*kept, "…"] if len(lines) > BLOCK_LINES else kept).rstrip()


def duration(seconds: float) -> str:
    """Return seconds for people: `0.35 s`, `41.2 s`, `12 min 5 s`, `10 h 2 min`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 120:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s".removesuffix(" 0 s")
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def short(site: Site) -> str:
    """Return a site with the last two parts of its path: `messaging/publisher.py:48`."""
    return f"{'/'.join(site.file.split('/')[-2:])}:{site.line}"


def moment(time_ns: int, zone: tzinfo = UTC, *, date: bool = True) -> str:
    """Return a Unix time in `zone`: `2026-11-23 23:03:41`, or only the time of day."""
    when = datetime.fromtimestamp(time_ns // 1_000_000_000, tz=zone)
    return when.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")


def percent(share: float) -> str:
    """Return a share of 0.0 to 1.0 as `82 %`; never 100 % for less than all, nor 0 % for some."""
    if 0 < share < 0.01:
        return "< 1 %"
    return "> 99 %" if 0.99 < share < 0.9999 else f"{share:.0%}".replace("%", " %")


def figure(value: float) -> str:
    """Return a number with three digits that count: `0.014`, `6.9`, `97`, `12,345`."""
    if not value:
        return "0"
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else "< 0.001"


def size(number: float) -> str:
    """Return bytes for people: `512 MB`, `1.5 GB`."""
    return f"{figure(number / 1e9)} GB" if number >= 1e9 else f"{figure(round(number / 1e6))} MB"


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character) in INVISIBLE:
        return f"<U+{ord(character):04X}>"
    return character


def _leading(line: str) -> int:
    return min(len(line) - len(line.lstrip(" ")), 16)
