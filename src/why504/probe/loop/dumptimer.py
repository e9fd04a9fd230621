"""The one timer that `faulthandler` has: ours, unless the application uses it.

A thread in C waits for it. A child that is forked does not have that thread, and whoever puts the
timer off waits for its end: for ever there. So it is stopped before each fork.
"""

from __future__ import annotations

import faulthandler
import functools
import os
import threading
from typing import Any, Final

from why504.probe.kit import Patches

_ARM: Final = faulthandler.dump_traceback_later
_CANCEL: Final = faulthandler.cancel_dump_traceback_later


class DumpTimer:
    """Dumps all stacks after a time, unless it is put off; does nothing once others use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_armed = False
        self._is_theirs = False
        self._patches = Patches()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=self._lock_free,
                after_in_child=self._lock_free,
            )

    def attach(self) -> None:
        """Notice from now on if the application uses the timer."""
        if not self._patches:
            for name in (_ARM.__name__, _CANCEL.__name__):
                self._patches.wrap(faulthandler, name, self._theirs)

    def arm(self, after_s: float, file: int) -> None:
        """Let all stacks be dumped into a file in `after_s` seconds, and not before."""
        # While somebody forks it is put off a second later.
        if not self._lock.acquire(blocking=False):
            return
        try:
            if not self._is_theirs:
                _ARM(after_s, file=file)
                self._is_armed = True
        finally:
            self._lock.release()

    def cancel(self) -> None:
        """Dump nothing."""
        with self._lock:
            self._disarm()

    def detach(self) -> None:
        """Give the application's `faulthandler` its functions back."""
        self._patches.undo()

    def _disarm(self) -> None:
        if self._is_armed and not self._is_theirs:
            _CANCEL()
        self._is_armed = False

    def _theirs(self, original: Any) -> Any:
        @functools.wraps(original)
        def used(*args: Any, **options: Any) -> Any:
            self._is_theirs = True
            return original(*args, **options)

        return used

    def _before_fork(self) -> None:
        self._lock.acquire()
        self._disarm()

    def _lock_free(self) -> None:
        self._lock.release()


TIMER: Final = DumpTimer()
"""The process has one."""
