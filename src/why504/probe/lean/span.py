"""A span of the lean provider: OpenTelemetry's `Span`, with what most spans need and no more.

It is one of the SDK's too, so processors, exporters and libraries that look for one find it. What
few spans have (events, links, odd values) is left to the SDK's own classes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from time import time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, Span
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceState,
)
from opentelemetry.util.types import AnyValue, Attributes, AttributeValue

from why504.probe.lean.spanwire import (
    UNSET,
    encode_rest,
    encode_span,
    encode_state,
    encode_status,
)
from why504.probe.lean.wire import Prepared, encode_attributes

if TYPE_CHECKING:
    from why504.probe.lean.tracer import LeanTracer

_log = logging.getLogger(__name__)
NO_STATE: Final = INVALID_SPAN_CONTEXT.trace_state
"""Of most traces; known by identity, since each look into one is a call."""
_STATE_AT: Final = 4
"""Place of the state in a SpanContext: it is a tuple."""
_UNSET: Final = Status(StatusCode.UNSET)
_PLAIN: Final = frozenset({str, int, bool, float})
"""What needs no cleaning; a string does where there is a limit of its length."""
_TEXT: Final = frozenset({str})
_NONE: Final[Mapping[str, AttributeValue]] = MappingProxyType({})
PREPARED_AT_MOST: Final = 32
"""Attributes; so many less fit besides: see `LeanTracer.room`."""


class _Attributes(dict[str, AttributeValue]):
    """All attributes of a span, for whoever reads or changes them by the SDK's private names."""

    @property
    def _dict(self) -> Self:
        return self


class LeanSpan(Span):
    """One span; ended, it does not change any more. `LeanTracer` makes it."""

    # The names are the SDK's: what it reads of a span, and what it inherits here, reads these.
    _tracer: LeanTracer
    _name: str
    _context: SpanContext
    _parent: SpanContext | None
    _kind: SpanKind
    _own: dict[str, AttributeValue]
    """What it was told besides what is prepared; others may have the same one, if it is prepared
    too.
    """
    _start_time: int
    _events: Sequence[Event] = ()
    _links: Sequence[Link] = ()
    _status = _UNSET
    _end_time: int | None
    _open: bool
    """Until somebody ends it: of two threads at once, one takes it away."""
    _record_exception = True
    _set_status_on_exception = True
    _dropped = 0
    _is_plain: bool
    """Whether it has no status, no events, no links, and lacks nothing."""
    _prepared: Prepared | Mapping[str, AttributeValue] = _NONE
    """What it began with, where that is encoded already and still holds."""

    def get_span_context(self) -> SpanContext:
        """Return its ids."""
        return self._context

    # --- what it is told --------------------------------------------------------------------------

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """Set one attribute."""
        own = self._own
        if own.__class__ is Prepared:
            own = self._own = dict(own)
        if self._end_time is not None:
            _log.warning("Setting attribute on ended span.")
        elif (
            value.__class__ in _PLAIN
            and key.__class__ is str
            and key
            and len(own) < self._tracer.room
            and key not in self._prepared
        ):
            own[key] = value
        else:
            self._set(key, value)

    def set_plain(self, key: str, value: str | int) -> None:
        """Set one of a few plain attributes that are known not to be prepared: `set_attribute`
        has more to look at.
        """
        own = self._own
        if own.__class__ is dict and self._prepared and self._end_time is None:
            own[key] = value  # room is kept for what is prepared, and there is some left
        else:
            self.set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """Set several attributes."""
        if self._end_time is not None:
            _log.warning("Setting attribute on ended span.")
            return
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def begin_with(self, attributes: Attributes) -> None:
        """Take the first attributes, if any, all at once where none needs a second look."""
        self._own = {}
        if not attributes:
            return
        if (
            len(attributes) <= self._tracer.room
            and _PLAIN.issuperset(map(type, attributes.values()))
            and _TEXT.issuperset(map(type, attributes))
            and "" not in attributes
        ):
            self._own = dict(attributes)
            return
        for key, value in attributes.items():
            self._set(key, value)

    def _set(self, key: str, value: AnyValue) -> None:
        limits = self._tracer.limits
        longest = limits.max_span_attribute_length
        kind = value.__class__
        if (
            kind not in _PLAIN
            or (longest is not None and kind is str and len(value) > longest)  # type: ignore[arg-type]
            or key.__class__ is not str
            or not key
        ):
            clean = BoundedAttributes(None, {key: value}, max_value_len=longest)
            if key not in clean:
                self._drop()
                return
            value = clean[key]
        kept, most = self._own, limits.max_span_attributes
        if key in self._prepared or (most is not None and len(kept) + PREPARED_AT_MOST >= most):
            kept = self._mixed()
        if most is not None and len(kept) >= most and key not in kept:
            self._drop()
            if not most:
                return
            del kept[next(iter(kept))]
        kept[key] = value

    def _drop(self) -> None:
        self._dropped += 1
        self._is_plain = False

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        """Add an event, now unless told when."""
        if self._end_time is not None:
            _log.warning("Tried calling add_event on an ended span.")
            return
        limits = self._tracer.limits
        bounded = BoundedAttributes(
            limits.max_event_attributes, attributes, max_value_len=limits.max_attribute_length
        )
        if not isinstance(self._events, BoundedList):
            self._events = BoundedList(limits.max_events)
            self._is_plain = False
        self._events.append(Event(name, bounded, timestamp))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Link to another span."""
        if self._end_time is not None:
            _log.warning("Tried calling add_link on an ended span.")
        elif context and (context.is_valid or attributes or context.trace_state):
            limits = self._tracer.limits
            bounded = BoundedAttributes(
                limits.max_link_attributes, attributes, max_value_len=limits.max_attribute_length
            )
            if not isinstance(self._links, BoundedList):
                self._links = BoundedList(limits.max_links)
                self._is_plain = False
            self._links.append(Link(context, bounded))

    def update_name(self, name: str) -> None:
        """Give it another name."""
        if self._end_time is None:
            self._name = name
        else:
            _log.warning("Tried calling update_name on an ended span.")

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Say how it went; OK is final, and UNSET says nothing."""
        if self._end_time is not None:
            _log.warning("Tried calling set_status on an ended span.")
            return
        if isinstance(status, StatusCode):
            status = Status(status, description)
        elif description is not None:
            _log.warning("Description %s ignored: the status has its own", description)
        if self._status.status_code is not StatusCode.OK and not status.is_unset:
            self._status = status
            self._is_plain = False

    def is_recording(self) -> bool:
        """Whether it has not ended yet."""
        return self._end_time is None

    def start(self, start_time: int | None = None, parent_context: Context | None = None) -> None:
        """Nothing: it started when it was made."""
        _log.warning("Calling start() on a started span.")

    def end(self, end_time: int | None = None) -> None:
        """End it, now unless told when."""
        try:
            del self._open
        except AttributeError:
            if self._end_time is not None:  # else another thread is about to
                _log.warning("Calling end() on an ended span.")
            return
        self._end_time = time_ns() if end_time is None else end_time
        provider = self._tracer.provider
        for processor in provider.told_of_ending:
            processor._on_ending(self)
        for processor in provider.told_of_ends:
            processor.on_end(self)

    def on_exception(self, record: bool, set_status: bool) -> None:
        """Say what is to be noted of an exception that leaves its `with` block."""
        self._record_exception, self._set_status_on_exception = record, set_status

    # --- what is read of it -----------------------------------------------------------------------

    @property
    def attributes(self) -> Mapping[str, AttributeValue]:
        """Return what it was told by now."""
        return MappingProxyType(self._all() if self._prepared else self._own)

    # The SDK's names, which the SDK reads here and there; processors write there what they redact.

    @property
    def _attributes(self) -> dict[str, AttributeValue]:
        if self._own.__class__ is not _Attributes:
            self._attributes = self._all()
        return self._own

    @_attributes.setter
    def _attributes(self, attributes: Mapping[str, AnyValue] | None) -> None:
        self._own, self._prepared = _Attributes(attributes or {}), _NONE

    @property
    def _resource(self) -> Resource:  # type: ignore[override]
        return self._tracer.resource

    @property
    def _instrumentation_scope(self) -> InstrumentationScope:  # type: ignore[override]
        return self._tracer.scope

    @property
    def _instrumentation_info(self) -> InstrumentationInfo:  # type: ignore[override]
        return self._tracer.instrumentation_info

    def _all(self) -> dict[str, AttributeValue]:
        return {**self._prepared, **self._own}

    def _mixed(self) -> dict[str, AttributeValue]:
        """Return all attributes, of which none is prepared any more."""
        self._own, self._prepared = self._all(), _NONE
        return self._own

    @property
    def dropped_attributes(self) -> int:
        """Return how many attributes had no room, or no sense."""
        return self._dropped

    @property
    def resource(self) -> Resource:
        """Return who speaks."""
        return self._tracer.resource

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        """Return which library speaks."""
        return self._tracer.scope

    def encoded(self) -> bytes:
        """Return it as a member of `ScopeSpans.spans`."""
        context, own, prepared = self._context, self._own, self._prepared
        attributes = own.wire if own.__class__ is Prepared else encode_attributes(own)
        if prepared.__class__ is Prepared:
            attributes = prepared.wire + attributes
        state = context[_STATE_AT]
        return encode_span(
            self._name,
            self._kind,
            context[0],
            context[1],
            self._parent,
            self._start_time,
            self._end_time or 0,
            attributes,
            UNSET if self._is_plain and state is NO_STATE else self._encoded_rest(state),
        )

    def _encoded_rest(self, state: TraceState) -> bytes:
        status = self._status
        rest = UNSET if status is _UNSET else encode_status(status.status_code, status.description)
        if state:
            rest += encode_state(state)
        dropped = (self._dropped, self.dropped_events, self.dropped_links)
        return rest + encode_rest(self._events, self._links, dropped)
