"""SQL with its values taken out, so that no user's data leaves the database in a record.

Lexical rules: PostgreSQL manual, section 4.1. The server cuts long texts anywhere
(track_activity_query_size), so whatever begins and does not end is taken to run to the end.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 1000
"""Characters of a statement that are kept at most, where nothing else is said."""
_LOOKED_AT: Final = 8000
"""Characters: an INSERT of a thousand rows has more, and says no more."""

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

_BACKSLASHED: Final = re.compile(
    r"""
      (?P<name>`(?:[^`]|``)*(?:`|$))
    | (?P<comment>\#[^\n]*|--[^\n]*|/\*.*?(?:\*/|$))
    | (?P<value>
          (?:\b[bBnNxX]|\b_\w+\s*)?(?P<quote>['"])(?:(?!(?P=quote))[^\\]|\\.|(?P=quote){2})*(?:(?P=quote)|\\?$)
        | (?<![\w$])\.?\d[\w.]*(?:(?<=[eE])[+-]\d+)?
      )
    """,
    re.VERBOSE | re.DOTALL,
)
"""Of MySQL, where both quotes hold values and know backslashes: its manual, section 11.1.1."""
_RULES: Final = {"mysql": _BACKSLASHED, "mariadb": _BACKSLASHED}


def without_literals(statement: str, system: str = "", *, longest: int = LONGEST) -> str:
    """Return the statement on one line with `?` for every value, at most `longest` long.

    Args:
        statement: as the database is given it.
        system: `db.system.name`, for those whose quotes are none of the standard's.
        longest: characters.
    """
    tokens = _RULES.get(system, _TOKENS)
    text = " ".join(tokens.sub(_replacement, statement[:_LOOKED_AT]).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _replacement(token: re.Match[str]) -> str:
    if token["name"]:
        return token["name"]
    return " " if token["comment"] else "?"
