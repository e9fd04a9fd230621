"""Outsiders: who has something and is no request that is known: a thread, a session, an alarm."""

from __future__ import annotations

import re
from typing import Final

from why504 import names
from why504.model import Record, Site

_LINE: Final = re.compile(r'File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>.+)')


def who_has(record: Record) -> str:
    """Return who has something, for people, where no request of it is known."""
    session = record.attributes.get(names.LOCK_SESSION)
    if session:
        return str(session)
    if record.parent_id:
        return "a request without spans"
    thread = record.attributes.get(names.THREAD_NAME)
    return f"thread {thread} outside any request" if thread else "work outside any request"


def now_at(record: Record) -> Site | None:
    """Return the line at which whoever has something is, as it was told last."""
    told = _LINE.fullmatch(str(record.attributes.get(names.HOLD_AT, "")))
    return Site(told["file"], int(told["line"]), told["function"]) if told else None
