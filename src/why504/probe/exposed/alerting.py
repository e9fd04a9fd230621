"""Raises P0s from inside the process: a hang must wake somebody where no Prometheus looks, too.

From a thread, so that a blocked loop is told while it blocks. Names and bounds are those of
alerts/rules, so that a runbook fits both, and the router makes one incident of both.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from why504.probe.clock import Clock
from why504.probe.inflight import Registry
from why504.probe.loop.stall import Watchdog
from why504.probe.safety import Guard

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

LOOK_S: Final = 1.0
AGAIN_S: Final = 60.0
"""What goes on is told again: of what nobody repeats the router thinks that it is over."""
RETRY_S: Final = 5.0
TIMEOUT_S: Final = 2.0
_BREAKER: Final = "breaker_state"
_OPEN: Final = 2.0
"""Of a gauge whose name ends so: llm_breaker_state."""

Send = Callable[[Sequence[Mapping[str, Any]]], None]
"""Hands alerts over, in the form of Alertmanager's API v2; raises OSError."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What raises an alert: a value above a bound."""

    name: str
    above: float
    summary: str
    description: str
    """Both are filled in with `service`, `what` and `value`."""


LOOP: Final = Condition(
    "EventLoopBlocked",
    5.0,
    "The event loop of {service} is blocked",
    "It has not turned for {value:.0f} s; nothing else runs meanwhile.",
)
OLDEST: Final = Condition(
    "OldestInFlightRequest",
    30.0,
    "A request of {service} does not end",
    "The oldest request in flight has been there for {value:.0f} s.",
)
BREAKER: Final = Condition(
    "CircuitBreakerOpen",
    _OPEN - 0.5,
    "The circuit breaker of {what} is open in {service}",
    "Its state is {value:.0f} (2 is open): calls fail at once, and answers are fallbacks.",
)
CRASH: Final = "ServiceCrashed"


@dataclass(frozen=True, slots=True)
class Reading:
    """A condition's value now; `what` tells several of one condition apart."""

    condition: Condition
    value: float
    what: str = ""


class Readings:
    """What is looked at."""

    def __init__(
        self, watchdog: Watchdog, registry: Registry, clock: Clock, theirs: Collector
    ) -> None:
        self._watchdog = watchdog
        self._registry = registry
        self._clock = clock
        self._theirs = theirs

    def __call__(self) -> Iterator[Reading]:
        """Yield every condition's value."""
        loops = list(self._watchdog.loops.values())
        yield Reading(LOOP, max((self._watchdog.age_s(loop) for loop in loops), default=0.0))
        now_s = self._clock.monotonic_s()
        opened_s = (entry.opened_s for entry in self._registry.requests())
        yield Reading(OLDEST, max((now_s - since_s for since_s in opened_s), default=0.0))
        for family in self._theirs.collect():
            if family.name.endswith(_BREAKER):
                for sample in family.samples:
                    what = next(iter(sample.labels.values()), family.name)
                    yield Reading(BREAKER, sample.value, what)


class Alerting:
    """Raises what is above its bound, repeats it, and says when it is over; for one thread."""

    def __init__(
        self,
        readings: Callable[[], Iterator[Reading]],
        send: Send,
        identity: Mapping[str, str],
        *,
        clock: Clock,
        guard: Guard,
    ) -> None:
        """Take what it needs.

        Args:
            identity: `service` and `instance`.
        """
        self._readings = readings
        self._send = send
        self._identity = identity
        self._clock = clock
        self._guard = guard
        self._begun_ns: dict[tuple[str, str], int] = {}
        self._due_s: dict[tuple[str, str], float] = {}
        self._hook = sys.__excepthook__

    def attach(self) -> None:
        """Tell also of an exception that ends the program; `detach` undoes it."""
        self._hook = sys.excepthook
        sys.excepthook = self._crashed

    def detach(self) -> None:
        """Leave the program's end alone."""
        if sys.excepthook == self._crashed:
            sys.excepthook = self._hook

    def look(self) -> None:
        """Tell what is new, what goes on, and what is over."""
        for reading in self._readings():
            key = (reading.condition.name, reading.what)
            if reading.value > reading.condition.above:
                self._begun_ns.setdefault(key, self._clock.wall_ns())
                self._tell(key, _told(reading, self._identity["service"]), over=False)
            elif key in self._begun_ns:
                self._tell(key, {}, over=True)

    def _tell(self, key: tuple[str, str], annotations: Mapping[str, str], *, over: bool) -> None:
        now_s = self._clock.monotonic_s()
        if not over and now_s < self._due_s.get(key, 0.0):
            return
        begun_ns = self._begun_ns[key]
        alert = self._alert(key, annotations, begun_ns, self._clock.wall_ns() if over else None)
        try:
            self._send([alert])
        except OSError:
            self._guard.count("alerting")
            self._due_s[key] = now_s + RETRY_S
            return
        self._due_s[key] = now_s + AGAIN_S
        if over:
            del self._begun_ns[key], self._due_s[key]

    def _alert(
        self,
        key: tuple[str, str],
        annotations: Mapping[str, str],
        begun_ns: int,
        ended_ns: int | None,
    ) -> Mapping[str, Any]:
        name, what = key
        told = {"alertname": name, "what": what, "instance": self._identity["instance"]}
        alert = {
            "labels": {
                "severity": "p0",
                "service_name": self._identity["service"],
                **{label: value for label, value in told.items() if value},
            },
            "annotations": {**annotations, "runbook_url": f"/runbooks/{name}"},
            "startsAt": _rfc3339(begun_ns),
        }
        return alert if ended_ns is None else {**alert, "endsAt": _rfc3339(ended_ns)}

    def _crashed(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        try:
            # Its kind alone: what it says may be a customer's data.
            said = {
                "summary": f"{self._identity['service']} crashed",
                "description": f"A {kind.__name__} that nobody caught ended the process.",
            }
            if not issubclass(kind, KeyboardInterrupt):
                self._send([self._alert((CRASH, ""), said, self._clock.wall_ns(), None)])
        except OSError:
            pass
        finally:
            self._hook(kind, error, trace)


def post_to(url: str, token: str) -> Send:
    """Return what hands alerts to a router, or an Alertmanager, at `url`."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"

    def send(alerts: Sequence[Mapping[str, Any]]) -> None:
        body = json.dumps(alerts).encode()
        place = f"{url.rstrip('/')}/api/v2/alerts"
        request = urllib.request.Request(place, body, headers)  # noqa: S310 - checked in config.py
        with suppress_instrumentation(), urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            pass

    return send


def _told(reading: Reading, service: str) -> Mapping[str, str]:
    said = {"service": service, "what": reading.what, "value": reading.value}
    condition = reading.condition
    return {
        "summary": condition.summary.format(**said),
        "description": condition.description.format(**said),
    }


def _rfc3339(time_ns: int) -> str:
    whole = datetime.fromtimestamp(time_ns // 10**9, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{time_ns % 10**9 // 1000:06d}Z"
