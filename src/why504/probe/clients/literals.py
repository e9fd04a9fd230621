"""SQL with its values taken out, so that no user's data leaves the database in a record.

Lexical rules: PostgreSQL manual, section 4.1. The server cuts long texts anywhere
(track_activity_query_size), so whatever begins and does not end is taken to run to the end.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 1000
"""Characters of a statement that are kept at most, where nothing else is said."""
LOOKED_AT: Final = 8000
"""Characters: an INSERT of a thousand rows has more, and says no more."""

_DOUBLE_QUOTES: Final = r'"(?:[^"]|"")*(?:"|$)'
_BACKTICKS: Final = r"`(?:[^`]|``)*(?:`|$)"
_BRACKETS: Final = r"\[(?:[^\]]|\]\])*(?:\]|$)"
_NOTHING: Final = r"(?!)"
_CHOSEN_QUOTES: Final = r"""
    \b[nN]?[qQ]'(?:
        \[.*?(?:\]'|$) | \{.*?(?:\}'|$) | \(.*?(?:\)'|$) | <.*?(?:>'|$)
      | (?P<end>\S).*?(?:(?P=end)'|$)
    )"""
"""Of Oracle, which has q'[...]': its SQL reference, text literals."""


def _standard(quoted: str, other: str = _NOTHING) -> re.Pattern[str]:
    """Return the rules of a database that reads `'...'` as the standard has it.

    Args:
        quoted: how names may be quoted.
        other: a kind of values that others have not.
    """
    return re.compile(
        rf"""
          (?P<name>{quoted})                                      # quoted identifiers stay
        | (?P<comment>--[^\n]*|/\*(?:(?!/\*).)*?\*/|/\*.*$)       # comments may carry values too
        | (?P<value>
              {other}
            | \b[eE]'(?:[^'\\]|\\.|'')*(?:'|\\?$)                 # E'...' knows backslashes
            | (?:\b[bBnNxX]|\b[uU]&)?'(?:[^']|'')*(?:'|$)
            | (?<![\w$])\$(?P<tag>[^\W\d]\w*|)\$.*?(?:\$(?P=tag)\$|$)
            | (?<![\w$])\.?\d[\w.]*(?:(?<=[eE])[+-]\d+)?          # but neither t1 nor $1
          )
        """,
        re.VERBOSE | re.DOTALL,
    )


_BACKSLASHED: Final = re.compile(
    rf"""
      (?P<name>{_BACKTICKS})
    | (?P<comment>\#[^\n]*|--[^\n]*|/\*.*?(?:\*/|$))
    | (?P<value>
          (?:\b[bBnNxX]|\b_\w+\s*)?(?P<quote>['"])(?:(?!(?P=quote))[^\\]|\\.|(?P=quote){{2}})*(?:(?P=quote)|\\?$)
        | (?<![\w$])\.?\d[\w.]*(?:(?<=[eE])[+-]\d+)?
      )
    """,
    re.VERBOSE | re.DOTALL,
)
"""Of MySQL, where both quotes hold values and know backslashes: its manual, section 11.1.1."""
_STANDARD: Final = _standard(_DOUBLE_QUOTES)
_RULES: Final = {
    "mysql": _BACKSLASHED,
    "mariadb": _BACKSLASHED,
    "microsoft.sql_server": _standard(f"{_DOUBLE_QUOTES}|{_BRACKETS}"),
    "oracle.db": _standard(_DOUBLE_QUOTES, _CHOSEN_QUOTES),
    "sqlite": _standard(f"{_DOUBLE_QUOTES}|{_BRACKETS}|{_BACKTICKS}"),
}
"""`db.system.name` -> how it quotes, where that is not the standard's and PostgreSQL's way."""


def without_literals(statement: str, system: str = "", *, longest: int = LONGEST) -> str:
    """Return the statement on one line with `?` for every value, at most `longest` long.

    Args:
        statement: as the database is given it.
        system: `db.system.name`, for those whose quotes are none of the standard's.
        longest: characters.
    """
    tokens = _RULES.get(system, _STANDARD)
    return shortened(" ".join(tokens.sub(_replacement, statement[:LOOKED_AT]).split()), longest)


def shortened(text: str, longest: int) -> str:
    """Return a text of at most `longest` characters, with a mark where it was cut."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _replacement(token: re.Match[str]) -> str:
    if token["name"]:
        return token["name"]
    return " " if token["comment"] else "?"
