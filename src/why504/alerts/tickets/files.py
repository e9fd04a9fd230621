"""Tickets as files: the embedded default of those who have no tracker at hand."""

from __future__ import annotations

import os
from pathlib import Path

from why504.alerts.tickets.markdown import bears, markdown
from why504.alerts.tickets.port import Note, Ticket
from why504.errors import TicketBusy, TicketRefused


class Folder:
    """One folder, with a Markdown file a ticket. Whoever is done with one deletes it."""

    settles_s = 0.0

    def __init__(self, folder: Path) -> None:
        self.name = f"files:{folder}"
        self._folder = folder

    def open(self, note: Note) -> Ticket:
        """Return a file; see `Tickets.open`."""
        name = f"{note.mark.partition(':')[2]}.md"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not (self._folder / name).exists():
                self._write(name, f"# {note.title}\n\n{markdown(note)}")
        except OSError as error:
            raise TicketBusy(f"can't write tickets: {error.strerror}") from error
        return Ticket(name, "")

    def comment(self, ref: str, note: Note) -> None:
        """Add to a file; see `Tickets.comment`."""
        try:
            # Whatever people wrote into it stays as it is.
            said = (self._folder / ref).read_bytes().decode("utf-8", "surrogateescape")
            if not bears(said, note):
                self._write(ref, f"{said}\n{markdown(note)}")
        except FileNotFoundError:
            raise TicketRefused(f"{ref} is gone") from None
        except OSError as error:
            raise TicketBusy(f"can't write tickets: {error.strerror}") from error

    def _write(self, name: str, text: str) -> None:
        """Put a file there, all of it or nothing, and durably."""
        new = self._folder / f".{name}.new"
        with new.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / name)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
