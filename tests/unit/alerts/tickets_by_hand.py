"""A router with a tracker: one that is a list, or a stand-in over HTTP."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from alerts_by_hand import Router, at
from prometheus_client import CollectorRegistry, generate_latest

from lab.stack.ports import free_port
from lab.standins.tickets import build_app
from why504.alerts.metrics import Ticketed
from why504.alerts.rooms.pace import Pace
from why504.alerts.tickets.port import Note, Ticket, Tickets
from why504.alerts.tickets.ticketing import Ticketing


class Killed(BaseException):
    """The process is gone at this point."""


@dataclass
class ListedTickets:
    """Takes notes as a tracker does: of one mark one. `fail` may raise before, `cut` after."""

    name: str = "listed"
    settles_s: float = 15.0
    tickets: dict[str, list[Note]] = field(default_factory=dict)
    """By mark: the first note and its comments."""
    fail: Callable[[], None] = lambda: None
    cut: Callable[[], None] = lambda: None

    def open(self, note: Note) -> Ticket:
        self.fail()
        self.tickets.setdefault(note.mark, [note])
        self.cut()
        return Ticket(note.mark, f"https://tracker.example/{len(self.tickets)}")

    def comment(self, ref: str, note: Note) -> None:
        self.fail()
        if note.mark not in [one.mark for one in self.tickets[ref]]:
            self.tickets[ref].append(note)
        self.cut()

    @property
    def only(self) -> list[Note]:
        """The notes of the one ticket that there is."""
        (notes,) = self.tickets.values()
        return notes


class Desk:
    """A router, and what opens tickets for it."""

    def __init__(self, folder: Path, tickets: Tickets) -> None:
        self.router = Router(folder)
        self.clock = self.router.clock
        self.take = self.router.take
        self.tickets = tickets
        self.start()

    def start(self) -> None:
        """Begin with what is on disk."""
        self.registry = CollectorRegistry()
        self.ticketing = Ticketing(
            self.router.ledger, self.tickets, Pace(random.Random(504)), self.clock,
            Ticketed(self.registry), language="en",
        )  # fmt: skip

    def restart(self) -> None:
        """Be killed, and begin with what is on disk."""
        self.router.ledger.close()
        self.router.start()
        self.take = self.router.take
        self.start()

    def run(self, seconds: float) -> None:
        """Let it work for some time, which passes at once."""
        for _ in range(round(seconds)):
            self.ticketing.step()
            self.clock.advance(1.0)

    def counted(self, result: str) -> float:
        (line,) = [
            line for line in generate_latest(self.registry).decode().splitlines()
            if line.startswith("why504_alerts_tickets_total") and f'"{result}"' in line
        ]  # fmt: skip
        return float(line.split()[-1])


@contextmanager
def standin() -> Iterator[tuple[Any, str]]:
    """The stand-in for trackers: its state, and where it is."""
    app = build_app()
    app.state.now = lambda: at(0) / 1e9
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield app.state, f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(5)
