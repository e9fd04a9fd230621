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

from why504.probe import site
from why504.probe.givenback import give_back
from why504.probe.inflight import REQUEST, OpenSpan, Place, Registry, nothing
from why504.probe.kit import Patches
from why504.probe.lean.current import attach, leave, span_context
from why504.probe.safety import Guard
from why504.probe.spans.handed import HANDED, context_to_hand_on, spans_are_ours


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
        self._otel = context_to_hand_on()
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
                try:
                    if undo is not None:
                        undo()
                finally:
                    self.over()

    def over(self) -> None:
        """It has run, or never will: nobody works on it here any more."""
        if self._work is not None:
            self._work.ends()

    def _enter(self) -> Callable[[], None]:
        here = Place.here()
        give_otel_back = self._enter_otel()
        request, work = REQUEST.set(self._entry), WORK.set(self._work)
        self._registry.saw(here, self._entry.trace_id)

        def undo() -> None:
            give_back(WORK, work)
            give_back(REQUEST, request)
            give_otel_back()
            nobody(self._registry)

        return undo

    def _enter_otel(self) -> Callable[[], None]:
        if spans_are_ours():
            return functools.partial(leave, attach(self._otel))
        if span_context(self._otel).is_valid:
            return functools.partial(give_back, HANDED, HANDED.set(self._otel))
        return nothing


def nobody(registry: Registry) -> None:
    """Note that this thread works for nobody from now on."""
    registry.saw(Place.here(), 0)


def _run_once(thread: Any, carried: Carried) -> Callable[[], None]:
    """Have a thread run what is carried; return how to give it its own `run` back.

    It gets that back as it begins: with another one it would hold itself, as garbage for later.
    """
    own = vars(thread).get("run")

    def put_back() -> None:
        if own is None:
            vars(thread).pop("run", None)
        else:
            thread.run = own

    def run() -> None:
        put_back()
        carried()

    thread.run = run
    return put_back


class Carrying:
    """Hooks the executor of threads, and the start of a thread."""

    def __init__(self, registry: Registry, guard: Guard) -> None:
        self._registry = registry
        self._guard = guard.site("work handed to a thread")
        self._patches = Patches()

    def attach(self) -> None:
        """Hook them; does nothing the second time, or where stock instrumentation does the same."""
        futures = sys.modules.get("concurrent.futures.thread")
        if self._patches or futures is None:
            return
        if "opentelemetry.instrumentation.threading" in sys.modules:
            return
        self._patches.wrap(futures.ThreadPoolExecutor, "submit", self._submits)
        self._patches.wrap(threading.Thread, "start", self._starts)

    def detach(self) -> None:
        """Give them their own methods back."""
        self._patches.undo()

    def _submits(self, submit: Any) -> Any:
        @functools.wraps(submit)
        def carrying(this: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            carried = self._carried(fn)
            try:
                return submit(this, carried or fn, *args, **kwargs)
            except BaseException:
                if carried is not None:
                    carried.over()  # it was not taken, and never runs
                raise

        return carrying

    def _starts(self, start: Any) -> Any:
        @functools.wraps(start)
        def carrying(this: Any) -> None:
            carried = None
            if WORK.get() is not None:
                with self._guard:
                    target = getattr(this, "_target", None) or type(this).run
                    code = getattr(target, "__code__", None)
                    # A library's own thread, such as one of a pool, lives on for others.
                    if code and site.is_user_file(code.co_filename):
                        carried = self._carried(this.run)
            if carried is None:
                start(this)
                return
            put_back = _run_once(this, carried)
            try:
                start(this)
            except BaseException:
                put_back()
                carried.over()
                raise

        return carrying

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
