"""A circuit breaker: a provider that failed several times in a row is left alone for a while.

Written here because the libraries don't do it for asyncio. purgatory 3.0 (read and tried): its
half-open state lets every caller through instead of one probe, a cancelled call counts either as a
failure or, excluded, as a success that closes the circuit, and it reads the wall clock.
States after Nygard, *Release It!* (2nd ed., "Circuit Breaker").
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum


class BreakerState(IntEnum):
    """Its number is what the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class BreakerOpen(Exception):
    """The call was not made: the provider failed too often, or its probe is under way."""


class Breaker:
    """Counts failures in a row. Belongs to one event loop, so that it needs no lock."""

    def __init__(
        self,
        *,
        failures: int,
        open_s: float,
        on_change: Callable[[BreakerState], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_failures = failures
        self._open_s = open_s
        self._on_change = on_change
        self._clock = clock
        self._state = BreakerState.CLOSED
        self._failures = 0
        self._opened_s = 0.0
        self._probing = False
        self._era = 0
        """Changes with the state: what a call of an earlier era became says nothing of this one."""

    @property
    def state(self) -> BreakerState:
        """Closed, open, or half-open: a probe is due or under way."""
        if self._state is BreakerState.OPEN and self._clock() - self._opened_s >= self._open_s:
            self._change(BreakerState.HALF_OPEN)
        return self._state

    @contextmanager
    def call(self, counts: Callable[[Exception], bool] = lambda _: True) -> Iterator[None]:
        """Guard one call. An error that `counts` calls no failure is an answer like any other.

        A cancelled call says nothing about the provider: it is neither failure nor success, and a
        cancelled probe leaves its turn to the next caller.

        Raises:
            BreakerOpen: the call must not be made.
        """
        era = self._enter()
        try:
            yield
        except Exception as error:
            self._leave(era, failed=counts(error))
            raise
        except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit):
            if era == self._era:
                self._probing = False
            raise
        self._leave(era, failed=False)

    def _enter(self) -> int:
        state = self.state
        if state is BreakerState.OPEN or self._probing:
            raise BreakerOpen
        self._probing = state is BreakerState.HALF_OPEN
        return self._era

    def _leave(self, era: int, *, failed: bool) -> None:
        if era != self._era:
            return
        self._failures = self._failures + 1 if failed else 0
        if failed and (self._probing or self._failures >= self._most_failures):
            self._opened_s = self._clock()
            self._change(BreakerState.OPEN)
        elif self._probing:
            self._change(BreakerState.CLOSED)

    def _change(self, state: BreakerState) -> None:
        self._state = state
        self._era += 1
        self._failures = 0
        self._probing = False
        self._on_change(state)
