"""Text of strangers, made harmless: labels, SQL and stacks must not mention, link or format.

Google Chat reads `<users/all>` and `<url|label>` in a message's text, a little HTML in a card's,
and turns bare addresses into links in both.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

_ELLIPSIS: Final = "…"
_KEPT_CATEGORIES: Final = ("L", "M", "N", "P", "S", "Z")
"""Everything else is control, format (which turns the direction of text) or unassigned."""
_SCHEME: Final = re.compile(r"(?<=[A-Za-z]):(?=/)")
_BRACKETS: Final = str.maketrans("<>", "‹›")
LONGEST_LINK: Final = 2000
_HERE: Final = frozenset({"localhost", "127.0.0.1"})
"""Characters."""


class _Shown(dict[int, int | str | None]):
    """What becomes of each character, looked up once: labels can be long."""

    def __missing__(self, code: int) -> int | str | None:
        char = chr(code)
        kept = code if unicodedata.category(char)[0] in _KEPT_CATEGORIES else None
        self[code] = " " if char.isspace() else kept
        return self[code]


_SHOWN: Final = _Shown()


def plain(told: str, most: int) -> str:
    """Return text on one line, of at most `most` characters, without what can't be seen."""
    line = " ".join(told[: most * 4].translate(_SHOWN).split())
    return line if len(line) <= most else line[: most - 1] + _ELLIPSIS


def in_card(told: str, most: int) -> str:
    """Return text for a widget: nothing in it is markup or a link."""
    return html.escape(_without_links(plain(told, most)))


def in_title(told: str, most: int) -> str:
    """Return text for titles and labels, of which nobody says whether they read HTML."""
    return _without_links(plain(told, most)).translate(_BRACKETS)


def in_message(told: str, most: int) -> str:
    """Return text for a message's `text`, where mentions are made: only what is surely harmless."""
    line = _without_links(plain(told, most))
    return re.sub(r"[<>|*_~`\\\[\]()#@!]", " ", line)


def _without_links(line: str) -> str:
    # A space after the scheme: people can still read it, and nothing makes a link of it.
    return _SCHEME.sub(": ", line).replace("www.", "www .")


def link(told: str, hosts: Collection[str]) -> str | None:
    """Return an address that may be put behind a button: https, and on a host that we know.

    On the reader's own machine http will do: nobody is between.
    """
    if not told or len(told) > LONGEST_LINK or plain(told, LONGEST_LINK) != told:
        return None
    try:
        parts = urlsplit(told)
        known = parts.hostname in hosts and parts.username is None and parts.password is None
    except ValueError:
        return None
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE)
    return told if safe and known else None
