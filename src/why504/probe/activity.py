"""Where the work for a trace is now: its task's awaits, or the worker thread it waits for.

A request that awaits a worker thread (sync endpoint, `asyncio.to_thread`) shows nothing of the
user's in its task: the thread is found by the context that it runs in.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from contextvars import Context
from types import FrameType
from typing import Any

from why504.probe import site, suspended
from why504.probe.inflight import REQUEST, OpenSpan, Place, Registry
from why504.probe.site import CodeLine
from why504.probe.still import STILL


class Activity:
    """One look at all threads; valid for the moment in which it was made."""

    def __init__(
        self, registry: Registry, loops: Iterable[tuple[asyncio.AbstractEventLoop, int]]
    ) -> None:
        self._registry = registry
        with STILL:
            self._frames = sys._current_frames()
        self._running: dict[int, int] = {}
        loop_threads = set()
        for loop, thread_id in loops:
            loop_threads.add(thread_id)
            task = asyncio.current_task(loop)
            if task is not None:
                self._running[id(task)] = thread_id
        registry.forget_threads(set(self._frames))
        self._worker: dict[int, int] = {}
        for thread_id in self._frames:
            trace_id = None if thread_id in loop_threads else self.trace_in(thread_id)
            if trace_id is not None:
                self._worker[trace_id] = thread_id

    def lines(self, place: Place, trace_id: int) -> list[CodeLine]:
        """Return what a place does now for a trace, innermost first; empty if it does nothing."""
        if place.in_task:
            task = place.task()
            if task is None or task.done():
                return []
            worker = self.thread(self._worker.get(trace_id))
            return worker + self._task(task)
        worker_id = self._worker.get(trace_id)
        if worker_id is not None:
            return self.thread(worker_id)
        return self.thread(place.thread_id) if self.trace_in(place.thread_id) == trace_id else []

    def worker(self, trace_id: int) -> int | None:
        """Return the thread that works for a trace outside any loop, if there is one."""
        return self._worker.get(trace_id)

    def _task(self, task: asyncio.Task[Any]) -> list[CodeLine]:
        thread_id = self._running.get(id(task))
        return suspended.task_lines(task) if thread_id is None else self.thread(thread_id)

    def thread(self, thread_id: int | None) -> list[CodeLine]:
        """Return what a thread does now, for whomever, innermost first."""
        frame = None if thread_id is None else self._frames.get(thread_id)
        return site.thread_lines(frame)

    def trace_in(self, thread_id: int) -> int | None:
        """Return the trace that a thread works for, if it is known."""
        frame: FrameType | None = self._frames.get(thread_id)
        with STILL:
            while frame is not None:
                if frame.f_code.co_name == "run":
                    context = _context_of(frame)
                    if context is not None:
                        request: OpenSpan | None = context.get(REQUEST)
                        return None if request is None else request.trace_id
                frame = frame.f_back
        return self._registry.last_trace_in(thread_id)


def _context_of(frame: FrameType) -> Context | None:
    """Return the context in which a worker thread runs its job: anyio's or asyncio.to_thread's."""
    file = frame.f_code.co_filename
    if file.endswith("anyio/_backends/_asyncio.py"):
        found = frame.f_locals.get("context")
    elif file.endswith("concurrent/futures/thread.py"):
        job = getattr(frame.f_locals.get("self"), "fn", None)
        found = getattr(getattr(job, "func", None), "__self__", None)
    else:
        return None
    return found if isinstance(found, Context) else None
