"""When an application without a tracer provider gets ours: when it works, not when we are called.

OpenTelemetry takes a global provider once. One that we set early would shut out the one that the
application sets up a line later, or when it starts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Final, cast

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import ProxyTracer, ProxyTracerProvider

from why504.probe.safety import GuardedSite
from why504.probe.spans.latetracer import Provider
from why504.probe.spans.tracing import OwnProvider, own_resource

_TRACER: Final = "_tracer"


def of_the_application(app: object = None) -> Provider | None:
    """Return the application's own provider, if it has set one up by now."""
    # FastAPI's native telemetry can be given one that nobody else uses.
    native = getattr(app, "_telemetry", None)
    told = native.get("tracer_provider") if isinstance(native, dict) else None
    current = told or trace.get_tracer_provider()
    known = hasattr(current, "add_span_processor") and hasattr(current, "resource")
    return cast(Provider, current) if known else None


class Claim:
    """The provider that is in force, and once it is settled, which.

    Args:
        on_join: called with each provider that comes to make spans: the application's, or ours.
        on_settled: called once with the one that stays.
    """

    def __init__(
        self, on_join: Callable[[Provider], None], on_settled: Callable[[Provider], None]
    ) -> None:
        self.app: object = None
        self._on_join = on_join
        self._on_settled = on_settled
        self._lock = threading.RLock()
        self._settled: Provider | None = None
        self._ours: OwnProvider | None = None
        self._resource: tuple[int, Resource] | None = None
        self._proxied: Any = None

    def found(self) -> Provider | None:
        """Return the provider that is settled on; None while the application may set up its own."""
        if self._settled is None and (theirs := of_the_application(self.app)) is not None:
            self._settle(theirs)
        return self._settled

    def until_settled(self) -> tuple[Provider, bool]:
        """Return the provider, and whether it stays: ours is for our own spans alone till then."""
        found = self.found()
        return (self._own(), False) if found is None else (found, True)

    def now(self) -> tuple[Provider, bool]:
        """Settle: on ours, for everybody from now on, if the application has none."""
        with self._lock:
            found = self.found()
            if found is None:
                found = own = self._own()
                # Of a vendor that takes no processors: theirs stays, ours is not for others.
                if isinstance(trace.get_tracer_provider(), ProxyTracerProvider):
                    trace.set_tracer_provider(own)
                self._settle(own)
        return found, True

    def resource(self) -> Resource:
        """Return who speaks, as far as that is known by now."""
        in_force = self._settled or self._ours
        if in_force is not None:
            return in_force.resource
        if self._resource is None or self._resource[0] != os.getpid():
            self._resource = (os.getpid(), own_resource())
        return self._resource[1]

    def at_first_span(self, guard: GuardedSite) -> None:
        """Claim when anybody's first span begins: programs without HTTP don't say that they work.

        A tracer of a process without a provider is a proxy, which looks for one at each span.
        """
        lookup = vars(ProxyTracer).get(_TRACER)
        if self._settled is not None or not isinstance(lookup, property) or lookup.fget is None:
            return
        find = lookup.fget

        def claimed(proxy: ProxyTracer) -> trace.Tracer:
            with guard:
                self.now()
            return cast(trace.Tracer, find(proxy))

        self._proxied = (lookup, claimed)
        setattr(ProxyTracer, _TRACER, property(claimed))

    def leave(self) -> None:
        """Claim nothing any more."""
        if self._proxied is not None:
            lookup, claimed = self._proxied
            current = vars(ProxyTracer).get(_TRACER)
            if isinstance(current, property) and current.fget is claimed:
                setattr(ProxyTracer, _TRACER, lookup)
            self._proxied = None

    def _own(self) -> OwnProvider:
        with self._lock:
            if self._ours is None:
                self._ours = OwnProvider(self.resource())
                self._on_join(self._ours)
            return self._ours

    def _settle(self, one: Provider) -> None:
        with self._lock:
            if self._settled is None:
                self._settled = one
                if one is not self._ours:
                    self._on_join(one)
                self.leave()
                self._on_settled(one)
