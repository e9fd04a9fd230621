"""Time that Python's garbage collector takes, by its own callbacks."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping


class Collections:
    """CPU seconds that Python's garbage collector has used in this process.

    Not the length of its pauses: without a core to run on every pause is long.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begun_s = 0.0

    def attach(self) -> None:
        """Be told of every collection; `detach` undoes it, again does nothing."""
        if self._on_phase not in gc.callbacks:
            gc.callbacks.append(self._on_phase)

    def detach(self) -> None:
        """Be told no more."""
        if self._on_phase in gc.callbacks:
            gc.callbacks.remove(self._on_phase)

    def _on_phase(self, phase: str, _info: Mapping[str, int]) -> None:
        # Collections don't nest and stay on their thread, so one stamp is enough.
        if phase == "start":
            self._begun_s = time.thread_time()
        elif self._begun_s:
            self.seconds += time.thread_time() - self._begun_s
