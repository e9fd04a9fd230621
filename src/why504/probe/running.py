"""Which asyncio task runs in the calling thread: asked several times a request.

Python 3.11 makes a system call each time it is asked for a thread's loop, to notice a fork. So the
loop is remembered there: one that rests or is gone has no current task, and Python is asked again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio import _get_running_loop
from collections.abc import Callable
from typing import Any, Final

Task = asyncio.Task[Any]

if sys.version_info >= (3, 12):

    def task_in(thread_id: int) -> Task | None:
        """Return the task that runs in the calling thread, whose id is given; None if none does."""
        # current_task() raises outside a loop, and an exception a statement is dear in threads.
        loop = _get_running_loop()
        return None if loop is None else asyncio.current_task(loop)

else:
    _current: Final[Callable[[asyncio.AbstractEventLoop | None], Task | None]] = (
        asyncio.tasks._current_tasks.get  # type: ignore[attr-defined]
    )
    _loops: Final[dict[int, asyncio.AbstractEventLoop]] = {}
    """Each seen last in that thread, and in no other."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_loops.clear)

    def task_in(thread_id: int) -> Task | None:
        """Return the task that runs in the calling thread, whose id is given; None if none does."""
        return _current(_loops.get(thread_id)) or _asked(thread_id)

    def _asked(thread_id: int) -> Task | None:
        loop = _get_running_loop()
        if loop is None:
            return None
        if _loops.get(thread_id) is not loop:
            for other, known in list(_loops.items()):
                if known is loop or known.is_closed():
                    _loops.pop(other, None)
            _loops[thread_id] = loop
        return _current(loop)
