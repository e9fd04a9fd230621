"""The way of a span: from the tracer provider that is in force into the registry, and out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Tracer

import why504
from why504 import names
from why504.probe.blackbox.box import BlackBox, Boxed
from why504.probe.inflight import Registry, RegistryProcessor
from why504.probe.safety import Guard
from why504.probe.spans.claim import Claim
from why504.probe.spans.handed import HandedTracer, spans_are_ours
from why504.probe.spans.latetracer import LateProvider, LateTracer, Provider
from why504.probe.spans.tracing import OwnExport, OwnProvider
from why504.probe.telling.records import RecordSender

_IDENTITY: Final = {"service": names.SERVICE_NAME, "instance": names.SERVICE_INSTANCE}


class SpanFlow:
    """Spans of the provider that is in force, and the records that go beside them.

    Args:
        endpoint: base URL of OTLP over HTTP.
        registry: told what begins and ends.
        guard: counts exports that failed.
        serves: the program says when it begins to work, by serving: nothing is claimed before.
    """

    def __init__(self, endpoint: str, registry: Registry, guard: Guard, *, serves: bool) -> None:
        self._joined: list[Provider] = []
        self._processor = RegistryProcessor(registry, guard)
        self._box: BlackBox | None = None
        self._site = guard.site("tracer provider")
        self._when_ours: list[Callable[[], object]] = []
        self._claim = Claim(self._join, self._settled)
        # A span of a request that came in: the application serves.
        self.serving = LateProvider(self._claim.now)
        self._records = RecordSender(
            endpoint,
            self._claim.resource,
            on_failure=lambda spans: guard.count("export"),
            on_lost=lambda spans: guard.count("spans lost", spans),
        )
        self._export = OwnExport(self._records.outbox, guard)
        self.sender: RecordSender | Boxed = self._records
        if not serves:
            self._claim.at_first_span(self._site)

    def of(self, app: object) -> None:
        """Look at an application for its provider, too."""
        self._claim.app = app
        self.look()

    def claim(self) -> None:
        """The application works from now on: who had no provider gets ours."""
        with self._site:
            self._claim.now()

    def when_ours(self, call: Callable[[], object]) -> None:
        """Call this once it is settled that the provider in force is ours; now, if it is."""
        if isinstance(self._claim.found(), OwnProvider):
            call()
        else:
            self._when_ours.append(call)

    def look(self) -> None:
        """Join the application's provider, if it has one by now."""
        with self._site:
            self._claim.found()

    def keep_in(self, box: BlackBox) -> None:
        """Keep what is sent in a black box, too; called before any span is made."""
        self._box = box
        self.sender = Boxed(self._records, box)

    def resource(self) -> Resource:
        """Return who speaks, as far as that is known by now."""
        return self._claim.resource()

    def tracer(self) -> LateTracer:
        """Return what makes the probe's own spans."""
        return LateTracer(self._claim.until_settled, _tracer_of)

    def identity(self) -> Mapping[str, str]:
        """Return who speaks: `service` and `instance`, each as far as it is known when read."""
        return _Identity(self._claim)

    def flush(self) -> None:
        """Send what is queued now."""
        self.sender.flush()

    def shutdown(self) -> None:
        """Send what is queued and take nothing more."""
        self._claim.leave()
        self._processor.active = False
        for provider in self._joined:
            if isinstance(provider, OwnProvider):
                provider.remove_span_processor(self._processor)
                provider.remove_export(self._export)
        self._export.shutdown()
        self.sender.shutdown()

    def _settled(self, provider: Provider) -> None:
        calls, self._when_ours = self._when_ours, []
        for call in calls if isinstance(provider, OwnProvider) else ():
            call()

    def _join(self, provider: Provider) -> None:
        provider.add_span_processor(self._processor)
        if self._box is not None:
            provider.add_span_processor(self._box.ends)
        if isinstance(provider, OwnProvider):
            provider.add_export(self._export)
        self._joined.append(provider)


def _tracer_of(provider: Provider) -> Tracer:
    tracer = provider.get_tracer("why504", why504.__version__)
    return tracer if spans_are_ours() else HandedTracer(tracer)


class _Identity(Mapping[str, str]):
    """Read anew each time: an application may say who it is only when it starts."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim

    def __getitem__(self, key: str) -> str:
        return str(self._claim.resource().attributes.get(_IDENTITY[key], ""))

    def __iter__(self) -> Iterator[str]:
        return iter(_IDENTITY)

    def __len__(self) -> int:
        return len(_IDENTITY)
