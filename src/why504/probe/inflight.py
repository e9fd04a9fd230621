"""What is open now: spans and requests, by span id, with the task or thread each runs in.

Fed by a SpanProcessor (recording spans), `requests.py` and `calls.py` (what sampling dropped).
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections import deque
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from threading import get_ident
from typing import Any, Final, Self, cast
from weakref import ref

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanContext, SpanKind
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe.app.route import route_of
from why504.probe.clock import Clock
from why504.probe.process.threadcpu import Reading
from why504.probe.running import task_in
from why504.probe.safety import Guard
from why504.probe.telling.records import RecordSpan
from why504.probe.telling.rhythm import Telling


class Place:
    """Where something runs: an asyncio task if there is one, and the thread that began it."""

    __slots__ = ("task", "task_id", "thread_id", "works_for")

    task: Callable[[], asyncio.Task[Any] | None]
    """Returns the task, None once it is gone or where there never was one."""
    works_for: list[OpenSpan]
    """What the task works for as far as a registry knows, innermost last; nothing of a thread."""

    def __init__(self, task: asyncio.Task[Any] | None, thread_id: int) -> None:
        self.task = _no_task if task is None else ref(task)
        self.task_id = 0 if task is None else id(task)
        self.thread_id = thread_id
        self.works_for = []

    @property
    def in_task(self) -> bool:
        """Whether it is a task, and not a thread without one."""
        return self.task_id != 0

    @classmethod
    def here(cls) -> Place:
        """Return the place of the caller."""
        thread_id = get_ident()
        return cls(task_in(thread_id), thread_id)


_new_place: Final[Callable[[type[Place]], Place]] = object.__new__
"""For whoever makes many: an `__init__` in Python costs more than all that it does."""


def _no_task() -> None:
    return None


def nothing() -> None:
    """Undo nothing."""


NOWHERE: Final = Place(None, 0)
"""Of what is not kept yet."""


MOST_FAILED: Final = 20
"""Failed calls that a request which sampling dropped keeps, the latest."""


class OpenSpan:
    """A span that has not ended, or a request or an outgoing call that sampling dropped."""

    # What few have is the class's until it is set: one is made for each span.
    opened_s: float = 0.0
    place: Place = NOWHERE
    elsewhere: tuple[Place, ...] = ()
    """Other places that work for it, or did: where it began, once it has worked in another."""
    span: ReadableSpan | None = None
    """Says itself what it is called, of what kind it is, when it began and within what."""
    attributes: dict[str, AttributeValue] | None = None
    """Of what sampling dropped, where it is no request; a span has its own."""
    failed: deque[RecordSpan] | None = None
    """Calls of a dropped request that failed: told once the request takes long."""
    scope: MutableMapping[str, Any] | None = None
    telling: Telling | None = None
    worker_cpu: Reading | None = None
    """Of its worker thread, when it was first told there."""
    _name: str = ""
    _kind: SpanKind = SpanKind.INTERNAL
    _start_ns: int = 0
    _parent_id: int | None = None

    def __init__(self, trace_id: int, span_id: int) -> None:
        self.trace_id = trace_id
        self.span_id = span_id

    @classmethod
    def dropped(
        cls,
        context: SpanContext,
        kind: SpanKind,
        *,
        name: str = "",
        parent_id: int | None = None,
        attributes: dict[str, AttributeValue] | None = None,
    ) -> Self:
        """Return what stands for a span that sampling dropped."""
        entry = cls(context.trace_id, context.span_id)
        entry._name, entry._kind, entry._parent_id = name, kind, parent_id
        entry.attributes = attributes
        return entry

    def began(self, now_s: float, now_ns: int) -> None:
        """Note that it begins now: monotonic seconds, and Unix nanoseconds."""
        self.opened_s, self._start_ns = now_s, now_ns

    @property
    def name(self) -> str:
        """What it is called; empty for a request that sampling dropped."""
        return self._name if self.span is None else self.span.name

    @property
    def kind(self) -> SpanKind:
        """Whether it was asked for by somebody else, asks somebody else, or neither."""
        return self._kind if self.span is None else self.span.kind

    @property
    def start_ns(self) -> int:
        """When it began, Unix nanoseconds."""
        return (self.span.start_time if self.span is not None else None) or self._start_ns

    @property
    def parent_id(self) -> int | None:
        """The span that it is a part of, if it is of any."""
        if self.span is None:
            return self._parent_id
        return None if self.span.parent is None else self.span.parent.span_id

    def keep_failed(self, call: RecordSpan) -> None:
        """Keep a call that failed: whoever tries again and again is told with all that it tried."""
        if self.failed is None:
            self.failed = deque(maxlen=MOST_FAILED)
        self.failed.append(call)

    def route(self) -> str:
        """Return the route's template, as far as it is known now; empty before routing."""
        route = "" if self.scope is None else route_of(self.scope)
        if route:
            return route
        known = (self.span.attributes or {}).get(names.HTTP_ROUTE) if self.span else None
        return known if isinstance(known, str) else ""

    @property
    def is_request(self) -> bool:
        """Whether somebody waits for an answer to it: a websocket lasts for as long as it likes."""
        return self.scope is not None and self.scope.get("type") == "http"

    def method(self) -> str:
        """Return the request's method; empty for a websocket, and for what is no request."""
        return "" if self.scope is None else str(self.scope.get("method", ""))


def _share_names() -> None:
    """Have one entry with all its names, as the interpreter expects of later ones then.

    A name that comes after some dozens of entries would cost each that gets it 400 bytes.
    """
    first = OpenSpan(0, 0)
    for name in OpenSpan.__annotations__:
        setattr(first, name, None)


_share_names()
_new_entry: Final[Callable[[type[OpenSpan]], OpenSpan]] = object.__new__

REQUEST: Final[ContextVar[OpenSpan | None]] = ContextVar("why504_request", default=None)
"""The request that the running code works for; worker threads inherit it with their context."""


class Registry:
    """Open spans, bounded; the innermost span of each task; the last trace seen in each thread."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self.spans: dict[int, OpenSpan] = {}
        self.dropped = 0
        self.latest_s = float("-inf")
        """When something began last, monotonic seconds."""
        self._now_s = clock.monotonic_s
        self._wall_ns = clock.wall_ns
        self._limit = limit
        self._places: dict[int, Place] = {}
        """Of the tasks that work for something open, by their ids."""
        self._thread_trace: dict[int, int] = {}

    def open(self, entry: OpenSpan) -> None:
        """Keep what begins now, the innermost of its task from now on."""
        # Of what is not kept somebody may still ask how long it took.
        self.latest_s = entry.opened_s = self._now_s()
        if entry.span is None:
            entry.began(entry.opened_s, self._wall_ns())
        if len(self.spans) >= self._limit:
            self.dropped += 1
            return
        entry.place = here = self.place()
        self.saw(here, entry.trace_id)
        if here.in_task:
            self._works(here, entry)
        self.spans[entry.span_id] = entry

    def _works(self, here: Place, entry: OpenSpan) -> None:
        here.works_for.append(entry)
        self._places[here.task_id] = here

    def keep(self, entry: OpenSpan, place: Place) -> bool:
        """Keep what is open at a place; return False (and count) when the limit is reached."""
        if len(self.spans) >= self._limit:
            self.dropped += 1
            return False
        entry.began(self._now_s(), self._wall_ns())
        entry.place = place
        self.spans[entry.span_id] = entry
        return True

    def enter(self, entry: OpenSpan) -> Callable[[], None]:
        """Note that the caller works for `entry` from now on; return how to undo it."""
        before, here = entry.place, self.place()
        if here is before:
            return nothing
        if before not in entry.elsewhere:
            entry.elsewhere = (*entry.elsewhere, before)
        entry.place = here
        self.saw(here, entry.trace_id)
        if here.in_task and here not in entry.elsewhere:
            self._works(here, entry)
        return lambda: self._leave(entry, here, before)

    def _leave(self, entry: OpenSpan, here: Place, before: Place) -> None:
        if here not in entry.elsewhere[:1]:  # where it began it goes on
            self._forget(entry, here)
        if entry.place is here:
            entry.place = before

    def place(self) -> Place:
        """Return the caller's place, the one that its task is known by where there is one."""
        thread_id = get_ident()
        task = task_in(thread_id)
        known = None if task is None else self._places.get(id(task))
        if known is not None and known.task() is task:
            return known
        return Place(task, thread_id)

    def saw(self, place: Place, trace_id: int) -> None:
        """Note that a trace was worked for in a thread without a loop."""
        if not place.in_task:
            self._thread_trace[place.thread_id] = trace_id

    def close(self, span_id: int) -> OpenSpan | None:
        """Forget a span; return it if it was known."""
        entry = self.spans.pop(span_id, None)
        if entry is not None:
            self._over(entry)
        return entry

    def _over(self, entry: OpenSpan) -> None:
        self._forget(entry, entry.place)
        for place in entry.elsewhere:
            self._forget(entry, place)

    def _forget(self, entry: OpenSpan, place: Place) -> None:
        works_for = place.works_for
        if works_for and works_for[-1] is entry:
            works_for.pop()
        elif entry in works_for:
            works_for.remove(entry)
        else:
            return
        self._settle(place)

    def _settle(self, place: Place) -> None:
        works_for = place.works_for
        # Another thread may have ended the next one while it was put there.
        while works_for and works_for[-1].span_id not in self.spans:
            works_for.pop()
        if not works_for and self._places.get(place.task_id) is place:
            del self._places[place.task_id]

    def make_room(self) -> None:
        """Once it is full, forget the oldest tenth of what belongs to nothing that is served now.

        Spans that an application never ends would leave no room for any other, for good.
        """
        if len(self.spans) < self._limit:
            return
        traces = {entry.trace_id for entry in self.served()}
        others = [entry for entry in list(self.spans.values()) if entry.trace_id not in traces]
        for entry in others[: self._limit // 10 + 1]:
            self.close(entry.span_id)
            self.dropped += 1

    def clear(self) -> None:
        """Forget all that is open."""
        self.spans.clear()
        self._places.clear()
        self._thread_trace.clear()

    def innermost(self, task: asyncio.Task[Any]) -> OpenSpan | None:
        """Return the innermost open span of a task, from any thread."""
        known = self._places.get(id(task))
        if known is not None and known.task() is task:
            return known.works_for[-1] if known.works_for else None
        context = _context_of(task)
        return None if context is None else context.get(REQUEST)

    def last_trace_in(self, thread_id: int) -> int | None:
        """Return the trace that a thread was last seen to work for."""
        return self._thread_trace.get(thread_id)

    def forget_threads(self, alive: set[int]) -> None:
        """Drop what is known of threads that ended."""
        for thread_id in [known for known in list(self._thread_trace) if known not in alive]:
            self._thread_trace.pop(thread_id, None)

    def requests(self) -> list[OpenSpan]:
        """Return the open requests, oldest first."""
        return [entry for entry in list(self.spans.values()) if entry.is_request]

    def served(self) -> list[OpenSpan]:
        """Return the open requests and websockets, oldest first."""
        return [entry for entry in list(self.spans.values()) if entry.scope is not None]


def _context_of(task: asyncio.Task[Any]) -> contextvars.Context | None:
    """Return the context that a task runs in: that of whoever made it, and so of its request."""
    get_context = getattr(task, "get_context", None)  # Python 3.12 and later
    if get_context is not None:
        return cast(contextvars.Context, get_context())
    # In 3.11 a task does not tell its context, but the garbage collector knows what it refers to.
    return next((r for r in gc.get_referents(task) if isinstance(r, contextvars.Context)), None)


class RegistryProcessor(SpanProcessor):
    """Keeps the registry in step with the tracer. Inert once `active` is False.

    It does by itself what `Registry.open` and `close` do for others, since every span comes by.
    """

    def __init__(self, registry: Registry, guard: Guard) -> None:
        self.active = True
        self._registry = registry
        self._on_start = guard.site("span start")
        self._on_end = guard.site("span end")

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note an open span."""
        if not self.active:
            return
        try:
            # The SDK's name for it, and no call; a tuple, of which each name is one.
            context: Any = span._context
            registry = self._registry
            entry = _new_entry(OpenSpan)
            entry.trace_id, entry.span_id, entry.span = context[0], context[1], span
            # As the class has it: it is read of each, and found sooner here.
            entry.elsewhere = ()
            registry.latest_s = entry.opened_s = registry._now_s()
            spans = registry.spans
            if len(spans) >= registry._limit:
                registry.dropped += 1
                return
            thread_id = get_ident()
            task = task_in(thread_id)
            if task is None:
                here = Place(None, thread_id)
                registry._thread_trace[thread_id] = entry.trace_id
            else:
                task_id = id(task)
                known = registry._places.get(task_id)
                # Of a task that is gone the id may have been given to another one.
                if known is not None and known.task() is task:
                    here = known
                    here.works_for.append(entry)
                else:
                    here = _new_place(Place)
                    here.task, here.task_id, here.thread_id = ref(task), task_id, thread_id
                    here.works_for = [entry]
                    registry._places[task_id] = here
            entry.place = here
            spans[entry.span_id] = entry
        except Exception as error:
            if not self._on_start.swallows(error):
                raise

    def on_end(self, span: ReadableSpan) -> None:
        """Forget a span that ended."""
        context = span._context
        if not self.active or context is None:
            return
        try:
            registry = self._registry
            spans = registry.spans
            entry = spans.pop(context[1], None)
            if entry is None:
                return
            place = entry.place
            works_for = place.works_for
            if not works_for or works_for[-1] is not entry or entry.elsewhere:
                registry._over(entry)
                return
            works_for.pop()
            # Most end within one that goes on.
            if not works_for or works_for[-1].span_id not in spans:
                registry._settle(place)
        except Exception as error:
            if not self._on_end.swallows(error):
                raise
