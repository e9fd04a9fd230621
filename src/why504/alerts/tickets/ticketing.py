"""Opens a ticket for every incident that had a P1, and keeps it up to date; beside the delivery.

People close it. What is told, and when: `why504.alerts.tickets.ticketbook`.
"""

from __future__ import annotations

import logging
from typing import Final

from why504.alerts.kept.ledger import Ledger
from why504.alerts.metrics import Ticketed
from why504.alerts.rooms.pace import Pace
from why504.alerts.tickets.port import Note, Tickets
from why504.alerts.tickets.ticketbook import News, Waiting
from why504.alerts.tickets.wording import bare, note_of
from why504.errors import AlertsUnavailable, TicketBusy, TicketRefused
from why504.probe.clock import Clock

log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0


class Ticketing:
    """One tracker, and what is told there; for one thread."""

    def __init__(
        self,
        ledger: Ledger,
        tickets: Tickets,
        pace: Pace,
        clock: Clock,
        counted: Ticketed,
        *,
        language: str,
    ) -> None:
        self._book = ledger.tickets
        self._tickets = tickets
        self._pace = pace
        self._clock = clock
        self._counted = counted
        self._language = language
        self._not_before_s = 0.0
        self._failure = ""

    def step(self) -> float:
        """Freeze what is new, send one note if it may be sent; return for how long to rest, s."""
        now_ns, now_s = self._clock.wall_ns(), self._clock.monotonic_s()
        for news in self._book.news(self._tickets.name, now_ns):
            self._book.freeze(news, self._note(news, now_ns), now_ns)
        if now_s < self._not_before_s or self._pace.wait_s(now_s) > 0:
            return _LOOK_S
        settles_ns = int(self._tickets.settles_s * 1e9)
        if waiting := self._book.waiting(self._tickets.name, now_ns, settles_ns):
            self._book.trying(waiting, now_ns)
            self._send(waiting)
        return _LOOK_S

    def _note(self, news: News, now_ns: int) -> Note:
        try:
            return note_of(news, self._language, now_ns)
        except Exception:
            # One incident of which nothing can be said must not hold up all that come after it.
            log.exception("no text can be made for a ticket, so it tells fingerprints alone")
            return bare(news, now_ns)

    def _send(self, waiting: Waiting) -> None:
        try:
            self._tell(waiting)
        except TicketRefused as error:
            self._pace.sent(self._clock.monotonic_s())
            self._book.dead(waiting, str(error))
            self._counted.dead()
            log.warning("the ticket of incident %s was refused: %s", waiting.incident, error)
        except TicketBusy as error:
            self._failed(waiting, str(error), error.after_s)
        except AlertsUnavailable:
            raise
        except Exception as error:
            # An answer that makes no sense: it may do so later.
            log.exception("a ticket can't be told")
            self._failed(waiting, f"a surprise: {type(error).__name__}", 0.0)
        else:
            self._pace.sent(self._clock.monotonic_s())
            self._failure = ""

    def _tell(self, waiting: Waiting) -> None:
        if waiting.ref:
            self._tickets.comment(waiting.ref, waiting.note)
            self._book.commented(waiting, self._clock.wall_ns())
            self._counted.commented()
        else:
            ticket = self._tickets.open(waiting.note)
            self._book.opened(waiting, self._tickets.name, ticket, self._clock.wall_ns())
            self._counted.opened()

    def _failed(self, waiting: Waiting, reason: str, after_s: float) -> None:
        now_s = self._clock.monotonic_s()
        self._pace.failed(now_s)
        self._not_before_s = now_s + after_s
        self._counted.failed()
        self._book.failed(waiting, reason)
        if reason != self._failure:
            log.warning("tickets wait: %s", reason)
            self._failure = reason
