"""SQL with its values taken out, so that no user's data leaves the database in a record.

Lexical rules: PostgreSQL manual, section 4.1. The server cuts long texts anywhere
(track_activity_query_size), so whatever begins and does not end is taken to run to the end.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 1000
"""Characters of a statement that are kept at most."""

_TOKENS: Final = re.compile(
    r"""
      (?P<name>"(?:[^"]|"")*(?:"|$))                          # quoted identifiers stay
    | (?P<comment>--[^\n]*|/\*(?:(?!/\*).)*?\*/|/\*.*$)       # comments may carry values too
    | (?P<value>
          \b[eE]'(?:[^'\\]|\\.|'')*(?:'|\\?$)                 # E'...' knows backslashes
        | (?:\b[bBnNxX]|\b[uU]&)?'(?:[^']|'')*(?:'|$)
        | (?<![\w$])\$(?P<tag>[^\W\d]\w*|)\$.*?(?:\$(?P=tag)\$|$)
        | (?<![\w$])\.?\d[\w.]*(?:(?<=[eE])[+-]\d+)?          # but neither t1 nor $1
      )
    """,
    re.VERBOSE | re.DOTALL,
)


def without_literals(statement: str) -> str:
    """Return the statement on one line with `?` for every value, at most LONGEST long."""
    text = " ".join(_TOKENS.sub(_replacement, statement).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _replacement(token: re.Match[str]) -> str:
    if token["name"]:
        return token["name"]
    return " " if token["comment"] else "?"
