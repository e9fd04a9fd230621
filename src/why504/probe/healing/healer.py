"""Restarts a process that hangs: tells why, stops accepting, and exits for its supervisor."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

from why504.probe.clock import Clock
from why504.probe.healing.deadman import Deadman
from why504.probe.healing.hang import Hang, Hangs
from why504.probe.healing.listeners import close_listeners
from why504.probe.healing.restarts import Permit

EXIT_CODE: Final = 75
"""EX_TEMPFAIL of sysexits.h: to be tried again. Not 3 or 4, which end gunicorn as a whole."""
FAREWELL_S: Final = 3.0
"""How long telling may take: a disk or collector that hangs must not keep the process."""
_LOOK_S: Final = 0.5

_LOG = logging.getLogger("why504.probe")


class Healer:
    """Looks whether the process hangs, after a look of the watchdog and in its thread.

    Args:
        farewell: tells all that is to be told.
        deadman: ends the process where C code keeps us from looking.
        leave: ends the process.
    """

    def __init__(
        self,
        hangs: Hangs,
        permit: Permit,
        farewell: Callable[[Hang], None],
        *,
        deadman: Deadman,
        clock: Clock,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self._hangs = hangs
        self._permit = permit
        self._farewell = farewell
        self._deadman = deadman
        self._clock = clock
        self._leave = leave
        self._due_s = 0.0
        self._is_held_back = False

    def look(self) -> None:
        """Restart the process if it hangs and may be restarted.

        Raises:
            OSError: restarts can't be remembered, so that there is none; the next look tries again.
        """
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s:
            return
        self._due_s = now_s + _LOOK_S
        hang = self._hangs.look()
        self._deadman.put_off(allowed=self._permit.held_back_s() == 0)
        if hang is not None and self._may_restart(hang):
            self._permit.take(hang.why)
            self._restart(hang)

    def _may_restart(self, hang: Hang) -> bool:
        held_back_s = self._permit.held_back_s()
        if held_back_s and not self._is_held_back:
            told = "why504 restarts process %d in %.0f s at the earliest: %s"
            _LOG.error(told, os.getpid(), held_back_s, hang.why)
        self._is_held_back = held_back_s > 0
        return not held_back_s

    def _restart(self, hang: Hang) -> None:
        _LOG.critical("why504 restarts process %d: %s", os.getpid(), hang.why)
        # Not waited for for ever: it may meet what the process hangs in.
        telling = threading.Thread(target=self._farewell, args=(hang,), name="why504 farewell")
        telling.daemon = True
        telling.start()
        close_listeners()
        telling.join(FAREWELL_S)
        self._leave(EXIT_CODE)
