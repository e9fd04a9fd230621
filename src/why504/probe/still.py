"""No garbage collection while frames of other threads are looked at.

Until Python 3.12 the interpreter makes a frame object when somebody asks for it, which may start a
collection; a finalizer may then let the other thread run on and leave that very frame, and the
object points to memory of something else: the process crashes in `PyFrame_GetBack`. In
`sys._current_frames()` the same may stop the whole process for good (python/cpython#106883).

Not by `gc.disable()`: whoever says that meanwhile, or asks whether it was said, is to be right
afterwards. A threshold that is never reached does the same, and next to nobody reads thresholds.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from types import TracebackType
from typing import Final

_NEEDED: Final = sys.version_info < (3, 12)
_NEVER: Final = 2**31 - 1
"""So many objects more than were freed since the last collection: the most that can be set."""


class Still:
    """A block in which nothing is collected; threads may be in it at once."""

    def __init__(self) -> None:
        self._before = gc.get_threshold()
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def _forked(self) -> None:
        # The thread that was in the block is in the parent only.
        self._give_back()
        self._reset()

    def __enter__(self) -> None:
        if not _NEEDED:
            return
        with self._lock:
            if self._inside == 0:
                found = gc.get_threshold()
                # Ours only where somebody read it in a block, and has put it back since.
                if found[0] != _NEVER:
                    self._before = found
                gc.set_threshold(_NEVER)
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not _NEEDED:
            return
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._give_back()

    def _give_back(self) -> None:
        if gc.get_threshold()[0] == _NEVER:  # else the application has set its own since
            gc.set_threshold(*self._before)


STILL: Final = Still()
"""The one block of the process: collection is off or on for all threads alike."""
