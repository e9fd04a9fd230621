"""What every part of a probe is made of: clock, registry, records, spans, the look at the loop."""

from __future__ import annotations

from why504.config import ProbeSettings
from why504.probe.activity import Activity
from why504.probe.clock import Clock
from why504.probe.exposed.metrics import Metrics
from why504.probe.inflight import Registry
from why504.probe.loop.garbage import Collections
from why504.probe.loop.stall import Watchdog
from why504.probe.safety import Guard
from why504.probe.spans.calls import Calls
from why504.probe.spans.spanflow import SpanFlow
from why504.probe.survival import Survival
from why504.probe.telling.dropped import Dropped
from why504.probe.telling.openrecord import RecordBook
from why504.probe.telling.publisher import Publisher
from why504.probe.telling.records import random_ids
from why504.probe.telling.rhythm import Rhythm


class Core:
    """One of each, for one probe; nothing of it runs by itself."""

    def __init__(self, settings: ProbeSettings, *, serves: bool) -> None:
        self.settings = settings
        self.clock = Clock()
        self.guard = Guard()
        self.metrics = Metrics()
        self.collections = Collections()
        self.registry = Registry(self.clock, settings.inflight_limit)
        self.spans = SpanFlow(settings.endpoint, self.registry, self.guard, serves=serves)
        self.survival = Survival(
            settings, self.spans, self.metrics, clock=self.clock, guard=self.guard
        )
        self.dropped = Dropped(self.spans.sender, self.clock, settings.snapshot_after_s)
        self.calls = Calls(self.spans.tracer(), self.registry, self.dropped)
        self.book = RecordBook(self.clock, random_ids(), self.spans.sender)
        self.watchdog = Watchdog(
            self.registry,
            self.book,
            self.metrics,
            self.collections,
            clock=self.clock,
            stall_after_s=settings.stall_after_s,
        )

    def activity(self) -> Activity:
        """Return what every request, thread and task does at this moment."""
        return Activity(self.registry, self.watchdog.places())

    def publisher(self) -> Publisher:
        """Return what tells all that is open."""
        rhythm = Rhythm(self.settings.snapshot_after_s, self.settings.snapshot_longest_s)
        return Publisher(
            self.registry, self.book, rhythm=rhythm, look=self.activity, guard=self.guard
        )

    def forked(self) -> None:
        """Forget what is open: it is open in the parent, not here."""
        self.registry.clear()
        self.book.open_records.clear()
        self.watchdog.forked()
        self.survival.forked()
