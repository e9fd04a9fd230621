"""What a tracker has to do: one ticket of one mark, and one comment of one mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

LABEL: Final = "why504"
"""On every ticket, so that people find all of them."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is put on a ticket at once: its first text, or a comment."""

    mark: str
    """`why504:<incident>` of a ticket, with `/<hash of what it tells>` of a comment."""
    title: str
    """Of the ticket; letters, digits and a few signs that no tracker reads anything into."""
    lines: Sequence[str]
    """Each is one line, and begins with a word of ours."""
    since_ns: int
    """Unix nanoseconds; whatever bears its mark is younger."""


class Ticket(NamedTuple):
    """A ticket as its tracker knows it."""

    ref: str
    """Its number or key."""
    url: str
    """Where people read it; empty where that is no address."""


class Tickets(Protocol):
    """One project of a tracker. Adapters: `GitHub`, `GitLab`, `Jira`, `Folder`; a list in tests.

    Both calls may be repeated, whoever was killed meanwhile: they look for the mark first.
    """

    name: str
    """Tracker and project: a `ref` means something there alone."""
    settles_s: float
    """After a call of which nobody knows the outcome: so long until a look tells it."""

    def open(self, note: Note) -> Ticket:
        """Return the ticket with this mark, new or known.

        Raises:
            TicketBusy: the same call may be repeated.
            TicketRefused: this ticket will never be taken.
        """
        ...

    def comment(self, ref: str, note: Note) -> None:
        """Return once the comment with this mark is on a ticket; raises as `open` does."""
        ...
