"""Ends a process in which C code keeps the GIL, and with it whoever could end it.

A timer of the kernel counts the CPU time of the process and is put off again and again. Its signal
dumps every stack, by `faulthandler`, which needs no GIL, and then does what it does by itself: ends
the process. A process that is stopped uses no CPU, so its timer stands still.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from why504.probe.blackbox import folder as places


class Deadman:
    """The timer and its file; for the watchdog's thread.

    Args:
        path: gets the dump.
        process: whose it is, as the file begins.
        after_s: CPU seconds of all threads together in which nobody put it off.
    """

    def __init__(self, path: Path, process: Mapping[str, object], after_s: float) -> None:
        self._path = path
        self._process = process
        self._after_s = after_s
        self._file = -1
        self._is_refused = False

    def put_off(self, *, allowed: bool) -> None:
        """Begin to count anew; not at all while the process may not be ended.

        Raises:
            OSError: there is no file to dump into.
        """
        if self._file < 0 and not self._attach():
            return
        signal.setitimer(signal.ITIMER_VIRTUAL, self._after_s if allowed else 0.0)

    def detach(self) -> None:
        """Count no more."""
        if self._file < 0:
            return
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        faulthandler.unregister(signal.SIGVTALRM)
        os.close(self._file)
        self._file = -1
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _attach(self) -> bool:
        if self._is_refused or not hasattr(signal, "SIGVTALRM"):
            return False
        taken = signal.getitimer(signal.ITIMER_VIRTUAL) != (0.0, 0.0)
        if taken or signal.getsignal(signal.SIGVTALRM) is not signal.SIG_DFL:
            self._is_refused = True  # the application has a use of its own for it
            return False
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = places.opened(self._path)
        told = {**self._process, "after_s": self._after_s, "ended": True}
        os.write(self._file, json.dumps(told).encode() + b"\n")
        faulthandler.register(signal.SIGVTALRM, file=self._file, all_threads=True, chain=True)
        return True
