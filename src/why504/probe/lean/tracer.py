"""A tracer of the lean provider: decides as the SDK's does, and does less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import getrandbits
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
)
from opentelemetry.trace import Tracer as AnyTracer
from opentelemetry.trace.propagation import _SPAN_KEY
from opentelemetry.util.types import Attributes

from why504.probe.lean.current import current_context, span_context
from why504.probe.lean.scoped import Asked, ScopedSpan
from why504.probe.lean.span import NO_STATE, PREPARED_AT_MOST, LeanSpan
from why504.probe.lean.spanwire import encode_scope
from why504.probe.lean.wire import Prepared

if TYPE_CHECKING:
    from why504.probe.lean.provider import LeanProvider

_new_span: Final[Callable[[type[LeanSpan]], LeanSpan]] = object.__new__
"""The SDK's class is not to be called, nor are those of it."""
_FLAGS: Final = [TraceFlags(number) for number in range(4)]
_SAMPLED: Final = TraceFlags.SAMPLED
_RANDOM: Final = TraceFlags.RANDOM_TRACE_ID
_INHERITED: Final = _SAMPLED | _RANDOM
_MANY: Final = 1_000_000
_FLAGS_AT: Final = 3
_VALID: Final = 5
"""Places of the flags and of `is_valid` in a SpanContext: it is a tuple."""
_Asked = tuple[str, SpanKind, Attributes, Sequence[Link]]


class LeanTracer(Tracer):
    """Makes the spans of one library.

    Args:
        known: the SDK's tracer for the same; says what it is called and whether it is switched off.
        provider: has the sampler, the processors, the limits and the resource.
    """

    def __init__(self, known: Tracer, provider: LeanProvider) -> None:
        vars(self).update(vars(known))
        self._known = known
        self.provider = provider
        self.limits = limits = provider.limits
        self.scope = self._instrumentation_scope
        self.scope_wire = encode_scope(self.scope)
        most = limits.max_span_attributes
        self.room = 0
        """So many plain attributes break no limit, besides those that are prepared."""
        if limits.max_span_attribute_length is None:
            self.room = _MANY if most is None else max(0, most - PREPARED_AT_MOST)

    @property
    def resource(self) -> Resource:
        """Return who speaks: after a fork, another process."""
        return self.provider.resource

    @resource.setter
    def resource(self, resource: Resource) -> None:
        """Nothing: the provider's is always meant."""

    def start_span(  # noqa: PLR0913, PLR0917 OpenTelemetry's signature
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Return a span that begins now; one that records nothing where sampling drops it."""
        around = span_context(context)
        parent = around if around[_VALID] else None
        provider = self.provider
        if not self._known._tracer_config.is_enabled:
            return NonRecordingSpan(around)
        if provider.sampler is DEFAULT_ON:
            mine = self._as_the_parent(parent)
            records = mine[_FLAGS_AT] & _SAMPLED
        else:
            asked = (name, kind, attributes, links or ())
            mine, records, attributes = self._as_the_sampler(context, parent, asked)
        if not records:
            return NonRecordingSpan(mine)
        began_ns = time_ns() if start_time is None else start_time
        # Here and not by a method of it: all that a span begins with is a lot to hand over.
        span = _new_span(LeanSpan)
        span._tracer, span._name, span._context = self, name, mine
        span._parent, span._kind, span._start_time = parent, kind, began_ns
        # What is read of each is its own: to find it in the class takes twice as long.
        span._end_time, span._open, span._is_plain = None, True, True
        if attributes.__class__ is Prepared and self.room:
            base = attributes.base
            span._prepared = attributes if base is None else base
            span._own = {} if base is None else attributes.more
        else:
            span.begin_with(attributes)
        if links:
            for link in filter(None, links):
                span.add_link(link.context, link.attributes)
        if not (record_exception and set_status_on_exception):
            span.on_exception(record_exception, set_status_on_exception)
        for processor in provider.told_of_starts:
            processor.on_start(span, context)
        return span

    def start_call(self, name: str, kind: SpanKind, prepared: Prepared, own: Prepared) -> Span:
        """Return what `start_span` would within the current span, of attributes that are prepared.

        Most spans of a request are calls that it makes. They begin within a span of ours, and with
        so little that most of what is to be asked of others needs no asking.
        """
        around = current_context().get(_SPAN_KEY)
        provider = self.provider
        ids = provider.id_generator
        if not (
            around.__class__ is LeanSpan
            and ids.__class__ is RandomIdGenerator
            and provider.sampler is DEFAULT_ON
            and self._known._tracer_config.is_enabled
            and self.room
        ):
            return start_call(self, name, kind, prepared, own)
        parent = around._context
        trace_id, _, _, flags, state, _ = parent
        if not flags & _SAMPLED:
            return start_call(self, name, kind, prepared, own)
        told = (
            trace_id, getrandbits(64) or ids.generate_span_id(), False,
            _FLAGS[flags & _INHERITED], state, True,
        )  # fmt: skip
        span = _new_span(LeanSpan)
        span._tracer, span._name, span._kind = self, name, kind
        span._context, span._parent = tuple.__new__(SpanContext, told), parent
        span._prepared, span._own = prepared, own
        span._end_time, span._open, span._is_plain = None, True, True
        span._start_time = time_ns()
        for processor in provider.told_of_starts:
            processor.on_start(span, None)
        return span

    def start_as_current_span(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> ScopedSpan:
        """Return a span that begins with a `with` block and is the current one in it."""
        return ScopedSpan(self, Asked(*args, **kwargs))

    def _as_the_parent(self, parent: SpanContext | None) -> SpanContext:
        """Return what the default sampler would say, without asking it for words."""
        ids = self.provider.id_generator
        # What the usual generator does, but for its call: it draws again if it drew a 0.
        span_id = ids.__class__ is RandomIdGenerator and getrandbits(64)
        if parent is None:
            trace_id, state = ids.generate_trace_id(), NO_STATE
            flags = _FLAGS[_SAMPLED | (_RANDOM if ids.is_trace_id_random() else 0)]
        else:
            # A SpanContext is a tuple, and read as one here: each name of it is a call.
            trace_id, _, _, theirs, state, _ = parent
            flags = _FLAGS[theirs & _INHERITED]
        # Made as one, too: what the class would check holds for ids of a generator.
        told = (trace_id, span_id or ids.generate_span_id(), False, flags, state, True)
        return tuple.__new__(SpanContext, told)

    def _as_the_sampler(
        self, context: Context | None, parent: SpanContext | None, asked: _Asked
    ) -> tuple[SpanContext, bool, Attributes]:
        ids = self.provider.id_generator
        name, kind, attributes, links = asked
        if parent is None:
            trace_id, flags = ids.generate_trace_id(), _RANDOM if ids.is_trace_id_random() else 0
        else:
            trace_id, flags = parent.trace_id, parent.trace_flags & _RANDOM
        result = self.provider.sampler.should_sample(
            context, trace_id, name, kind, attributes, links
        )
        flags |= result.decision is Decision.RECORD_AND_SAMPLE
        mine = SpanContext(
            trace_id, ids.generate_span_id(), False, _FLAGS[flags], result.trace_state
        )
        return mine, result.decision is not Decision.DROP, result.attributes


def start_call(
    tracer: AnyTracer, name: str, kind: SpanKind, prepared: Prepared, own: Prepared
) -> Span:
    """Return the span of a call that begins within the current one, of whatever provider.

    Args:
        tracer: makes it.
        name: of the span.
        kind: of the span.
        prepared: what many such calls have.
        own: what this one has besides, as few others have.
    """
    span = tracer.start_span(name, None, kind, prepared)
    span.set_attributes(own)
    return span
