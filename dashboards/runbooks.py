"""What to do about an alert: the repository's own markdown, made fit for a page."""

from __future__ import annotations

import re
from typing import Final

from why504.errors import ConfigError
from why504.stack import folder

_FOLDER: Final = "alerts/runbooks"
_LINK: Final = re.compile(r"\[([^\]]*)\]\((?!https://)[^)]*\)")
"""To another file: there is no page of it here."""
_HEADING: Final = re.compile(r"^## (.*)$", re.MULTILINE)
"""Greater on a page than the heading of what the runbook is a part of."""


def runbook_of(alert: str) -> str | None:
    """Return the runbook of an alert as markdown, a text of our own; None if there is none.

    Args:
        alert: a stranger's text: looked up among the files that there are, never made a path.
    """
    try:
        files = {file.stem: file for file in (folder() / _FOLDER).glob("*.md")}
    except ConfigError:
        return None
    file = files.get(alert)
    if file is None:
        return None
    text = file.read_text(encoding="utf-8").partition("\n")[2]
    return _HEADING.sub(r"**\1**", _LINK.sub(r"\1", text))
