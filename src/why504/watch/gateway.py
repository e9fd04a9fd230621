"""Turns the gateway's access log into its spans: one SERVER span a line, past any sampler.

So every 504 has a span with a trace id, also when the application never saw the request.
Its id is the one that nginx sent upstream: docs/how-evidence-travels.md.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

import why504
from why504 import names
from why504.watch.accesslog import METHODS, GatewayLine, parse_line, span_name, written_s
from why504.watch.rotation import Position
from why504.watch.tail import Tail

POLL_S: Final = 0.2
FLUSH_S: Final = 5.0
"""How long what is left of the log may take once it is time to stop."""
CLIENT_LEFT: Final = 499
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)

_log = logging.getLogger(__name__)

Deliver = Callable[[Sequence[ReadableSpan], threading.Event], bool]
"""Sends spans until they were taken or never can be; False if the event was set before."""


@dataclass(slots=True)
class GatewayCounts:
    """What became of the log's lines so far."""

    sent: int = 0
    """Of which a span was delivered."""
    not_understood: int = 0
    unsaved_positions: int = 0
    """Times that the place could not be kept: a restart would send those lines again."""


class GatewayWatch:
    """Follows an access log and sends its spans, each at least once.

    The position is kept in `state_file` after a batch was delivered; a crash in between sends that
    batch again under the same ids. Lines written while nobody watched, or while the receiver took
    none, are sent later: the log is the queue.

    Args:
        log: JSON access log of otel/nginx.conf.template; need not exist yet.
        deliver: `Delivery.deliver`.
        state_file: keeps the position between runs; its folder is made.
        timeout_s: the gateway's own timeout, when known.
    """

    def __init__(
        self, log: Path, deliver: Deliver, state_file: Path, timeout_s: float | None = None
    ) -> None:
        self.counts = GatewayCounts()
        self.tail = Tail(log, load_position(state_file), time_of=written_s)
        self._deliver = deliver
        self._state_file = state_file
        self._timeout_s = timeout_s
        self._resource = gateway_resource(log)

    def run(self, stop: threading.Event) -> None:
        """Follow the log until `stop` is set, then send what is there, for 5 s, and return.

        Blocks its thread.

        Raises:
            PermissionError: the log may not be read.
        """
        try:
            while not stop.wait(self._step(stop)):
                pass
            until_s = time.monotonic() + FLUSH_S
            while self._step(stop) == 0 and time.monotonic() < until_s:
                pass
        finally:
            self.tail.close()

    def _step(self, stop: threading.Event) -> float:
        """Send one batch; return the seconds to wait before the next."""
        batch = self.tail.read()
        if not batch.lines:
            return POLL_S
        parsed = [parse_line(line) for line in batch.lines]
        spans = [to_span(line, self._resource, self._timeout_s) for line in parsed if line]
        if not self._deliver(spans, stop):
            return POLL_S
        self.counts.sent += len(spans)
        self.counts.not_understood += len(parsed) - len(spans)
        self.tail.accept(batch)
        self._keep_place(batch.position)
        return 0

    def _keep_place(self, position: Position) -> None:
        try:
            save_position(self._state_file, position)
        except OSError as error:  # a full disk must not end the evidence
            if self.counts.unsaved_positions == 0:
                _log.warning("can't keep the place in the gateway's log: %s", error)
            self.counts.unsaved_positions += 1


def to_span(line: GatewayLine, resource: Resource, timeout_s: float | None) -> ReadableSpan:
    """Return the gateway's span of one request."""
    trace_id = int(line.trace_id, 16)
    parent = None
    if line.parent_id is not None:
        parent = SpanContext(trace_id, int(line.parent_id, 16), True, _SAMPLED)
    return ReadableSpan(
        name=span_name(line.method, line.path),
        context=SpanContext(trace_id, int(line.span_id, 16), False, _SAMPLED),
        parent=parent,
        resource=resource,
        attributes=_attributes(line, timeout_s),
        kind=SpanKind.SERVER,
        status=Status(StatusCode.ERROR) if line.status >= 500 else Status(),
        start_time=line.start_ns,
        end_time=line.end_ns,
        instrumentation_scope=InstrumentationScope("why504", why504.__version__),
    )


def _attributes(line: GatewayLine, timeout_s: float | None) -> dict[str, AttributeValue]:
    failed = line.status >= 500 or line.status == CLIENT_LEFT
    known: dict[str, AttributeValue | None] = {
        names.HTTP_METHOD: line.method if line.method in METHODS else "_OTHER",
        names.URL_PATH: line.path,
        names.HTTP_STATUS: line.status,
        names.ERROR_TYPE: str(line.status) if failed else None,
        names.SERVER_ADDRESS: line.server_address or None,
        names.SERVER_PORT: line.server_port,
        names.GATEWAY_ATTEMPTS: line.attempts,
        names.GATEWAY_UPSTREAM_ADDRESS: line.upstream_address or None,
        names.GATEWAY_UPSTREAM_STATUS: line.upstream_status,
        names.GATEWAY_UPSTREAM_CONNECT_S: line.upstream_connect_s,
        names.GATEWAY_UPSTREAM_HEADER_S: line.upstream_header_s,
        names.GATEWAY_TIMEOUT_S: timeout_s,
    }
    return {name: value for name, value in known.items() if value is not None}


def gateway_resource(log: Path) -> Resource:
    """Return who speaks: one instance a host and log."""
    instance = f"{socket.gethostname()}:{log.resolve()}"
    return Resource({names.SERVICE_NAME: names.GATEWAY_SERVICE, names.SERVICE_INSTANCE: instance})


def load_position(state_file: Path) -> Position:
    """Return the position that was saved, or the log's beginning if there is none to use."""
    try:
        saved = json.loads(state_file.read_text(encoding="utf-8"))
        return Position(str(saved["head"]), float(saved["began_s"]), int(saved["offset"]))
    except FileNotFoundError:
        return Position()
    except (ValueError, TypeError, KeyError) as error:
        _log.warning("%s is not a position (%s): the log is sent anew", state_file, error)
        return Position()


def save_position(state_file: Path, position: Position) -> None:
    """Replace the saved position in one step, durably."""
    state_file.parent.mkdir(parents=True, exist_ok=True)
    fresh = state_file.with_name(state_file.name + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(asdict(position), file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(state_file)
