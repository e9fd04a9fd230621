"""Notes as Markdown of which nothing is read: the text is a fenced block.

Inside a fence neither GitHub nor GitLab sees mentions, references, HTML, links or quick actions.
A fence ends at a line of backticks, and no line of a note is one: each begins with a word of ours.
"""

from __future__ import annotations

import re
from typing import Final

from why504.alerts.tickets.port import Note

_SHORTEST: Final = 3
_TICKS: Final = re.compile("`+")


def markdown(note: Note) -> str:
    """Return a note's text with its mark, which is not shown, above it."""
    text = "\n".join(note.lines)
    longest = max((len(ticks) for ticks in _TICKS.findall(text)), default=0)
    fence = "`" * max(_SHORTEST, longest + 1)
    return f"{_marked(note)}\n\n{fence}\n{text}\n{fence}\n"


def bears(text: object, note: Note) -> bool:
    """Return whether a text has this note's mark, which no stranger's text can be: a whole line."""
    return isinstance(text, str) and _marked(note) in text.splitlines()


def _marked(note: Note) -> str:
    return f"<!-- {note.mark} -->"
