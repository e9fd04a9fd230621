"""Work that a request hands to a thread of `concurrent.futures` stays the request's.

Such a thread has a context of its own: without this, what it does is nobody's, and a request that
awaits `run_in_executor` shows the line that awaits and no more. A thread that the callback of a
message starts (`consumer.py`) is carried too; one that a request starts may be anything's.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, Final, Protocol

from opentelemetry import context as otel

from why504.probe import site
from why504.probe.inflight import REQUEST, OpenSpan, Place, Registry
from why504.probe.safety import Guard


class Work(Protocol):
    """What lasts until all threads that work for it are done."""

    def begins(self) -> None:
        """One more works for it."""

    def ends(self) -> None:
        """One is done."""


WORK: Final[ContextVar[Work | None]] = ContextVar("why504_work", default=None)
"""What the running code is the callback of, apart from a request."""


class Carried:
    """A function that is called in another thread, for whom it was handed over."""

    __slots__ = ("__wrapped__", "_entry", "_guard", "_otel", "_registry", "_work")

    def __init__(
        self, function: Callable[..., Any], entry: OpenSpan, registry: Registry, guard: Any
    ) -> None:
        self.__wrapped__ = function
        self._entry = entry
        self._registry = registry
        self._guard = guard
        self._otel = otel.get_current()
        self._work = WORK.get()
        if self._work is not None:
            self._work.begins()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, for the request that it was handed over for."""
        undo: Callable[[], None] | None = None
        with self._guard:
            undo = self._enter()
        try:
            return self.__wrapped__(*args, **kwargs)
        finally:
            with self._guard:
                if undo is not None:
                    undo()
                if self._work is not None:
                    self._work.ends()

    def _enter(self) -> Callable[[], None]:
        here = Place.here()
        attached, request, work = (
            otel.attach(self._otel), REQUEST.set(self._entry), WORK.set(self._work)
        )  # fmt: skip
        self._registry.saw(here, self._entry.trace_id)

        def undo() -> None:
            nobody(self._registry)
            WORK.reset(work)
            REQUEST.reset(request)
            otel.detach(attached)

        return undo


def nobody(registry: Registry) -> None:
    """Note that this thread works for nobody from now on."""
    registry.saw(Place.here(), 0)


class Carrying:
    """Hooks the executor of threads, and the start of a thread."""

    def __init__(self, registry: Registry, guard: Guard) -> None:
        self._registry = registry
        self._guard = guard.site("work handed to a thread")
        self._undo: list[Callable[[], None]] = []

    def attach(self) -> None:
        """Hook them; does nothing the second time, or where stock instrumentation does the same."""
        futures = sys.modules.get("concurrent.futures.thread")
        if self._undo or futures is None:
            return
        if "opentelemetry.instrumentation.threading" in sys.modules:
            return
        self._hook_submit(futures.ThreadPoolExecutor)
        self._hook_start(threading.Thread)

    def detach(self) -> None:
        """Give them their own methods back."""
        while self._undo:
            self._undo.pop()()

    def _hook_submit(self, executor: Any) -> None:
        submit = executor.submit

        @functools.wraps(submit)
        def carrying(this: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            carried = self._carried(fn)
            try:
                return submit(this, carried or fn, *args, **kwargs)
            except BaseException:
                if carried is not None and carried._work is not None:
                    carried._work.ends()  # it was not taken, and never runs
                raise

        executor.submit = carrying
        self._undo.append(lambda: setattr(executor, "submit", submit))

    def _hook_start(self, thread: Any) -> None:
        start = thread.start

        @functools.wraps(start)
        def carrying(this: Any) -> None:
            if WORK.get() is not None:
                with self._guard:
                    target = getattr(this, "_target", None) or type(this).run
                    code = getattr(target, "__code__", None)
                    # A library's own thread, such as one of a pool, lives on for others.
                    if code and site.is_user_file(code.co_filename):
                        this.run = self._carried(this.run) or this.run
            start(this)

        thread.start = carrying
        self._undo.append(lambda: setattr(thread, "start", start))

    def _carried(self, function: Any) -> Carried | None:
        """Return a function as work of the current request; None if it is nobody's."""
        entry = REQUEST.get()
        if entry is None or entry.span_id not in self._registry.spans:
            return None
        # asyncio.to_thread brings the whole context along.
        if isinstance(getattr(getattr(function, "func", None), "__self__", None), Context):
            return None
        with self._guard:
            return Carried(function, entry, self._registry, self._guard)
        return None
