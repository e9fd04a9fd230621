"""RabbitMQ's alarms, told as records: from when to when a node blocked all who publish.

Asks the management API, which Debian's package and every image with `-management` bring
(`rabbitmq-plugins enable rabbitmq_management`), on a thread of its own. While no alarm is up, a
sample is one health check that reads no statistics; queues are asked for twice a minute and
connections during alarms only, a bounded page each. The account needs the tag `monitoring`.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

import httpx
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.errors import ConfigError
from why504.probe.telling.records import RecordSpan, Sender, random_ids
from why504.watch import alarms
from why504.watch.alarms import Blocked, Trouble
from why504.watch.raised import Raised

INTERVAL_S: Final = 2.0
QUEUES_EVERY_S: Final = 30.0
ANSWER_TIMEOUT_S: Final = 2.0
"""Longest wait for a connection, and for each piece of an answer; none takes twice as long."""
LARGEST_ANSWER: Final = 1_000_000
SLOWEST_RETRY_S: Final = 60.0
"""RabbitMQ logs each refused login, so whoever is refused asks ever more seldom."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _NoAnswer(Exception):
    """Nobody answered, or not in time."""


@dataclass(frozen=True, slots=True)
class Place:
    """A management API, taken apart."""

    base_url: str
    """Without account, path and query: this is what may be logged."""
    host: str
    port: int
    user: str
    password: str = field(repr=False)

    @property
    def address(self) -> str:
        """Return `host:15672`, to be told and logged."""
        return f"{self.host}:{self.port}"


def place_of(url: str, password: str | None = None) -> Place:
    """Return what a URL says; a password in it counts more than the one that is given.

    Raises:
        ConfigError: it is not the address of a management API. Never repeats a password.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 15672)
        base_url = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        if parts.scheme not in ("http", "https") or not httpx.URL(base_url).host:
            raise ValueError
    except (ValueError, httpx.InvalidURL):
        # Their own messages may repeat what was given.
        raise ConfigError(
            "not an address of RabbitMQ's management API; write http://user@host:15672"
        ) from None
    # guest and guest: what RabbitMQ is installed with, and takes from its own machine only.
    given = unquote(parts.password) if parts.password else password
    user = unquote(parts.username or "guest")
    return Place(base_url, host, port, user, "guest" if given is None else given)


@dataclass(slots=True)
class RabbitMQCounts:
    """What became of the samples so far, and of the questions in them."""

    samples: int = 0
    unanswered: int = 0
    not_understood: int = 0
    """Answers that were errors, a refused login for example, or not as documented."""


class RabbitMQWatch:
    """Watches one broker, or cluster, for alarms and sends them as records."""

    def __init__(self, place: Place, sender: Sender, *, interval_s: float = INTERVAL_S) -> None:
        """Remember what to watch; nothing is opened before `run`."""
        self.counts = RabbitMQCounts()
        self._place = place
        self._sender = sender
        self._interval_s = interval_s
        self._ids = random_ids()
        self._attributes: dict[str, AttributeValue] = {
            names.MESSAGING_SYSTEM: "rabbitmq",
            names.SERVER_ADDRESS: place.host,
            names.SERVER_PORT: place.port,
        }
        self._raised = Raised(self._attributes, self._ids, interval_s=interval_s)
        self._silence = Trouble(place.address, names.BROKER_SILENT)
        self._answered = False
        """Whether it ever did."""
        self._watched_ns = 0
        """Until when it is told that it was asked; 0 = not since the last failure."""
        self._refusals = 0
        self._complained = False
        self._queues_due_s = 0.0

    def run(self, stop: threading.Event) -> None:
        """Ask until `stop` is set; blocks its thread, returns some seconds after at most."""
        # A proxy of the environment is for the world outside; the password must not go there.
        with httpx.Client(
            base_url=self._place.base_url,
            auth=(self._place.user, self._place.password),
            headers={"accept": "application/json", "accept-encoding": "identity"},
            timeout=ANSWER_TIMEOUT_S,
            limits=httpx.Limits(max_connections=1),
            verify=ssl.create_default_context(),
            trust_env=False,
        ) as client:
            while not stop.wait(self._step(client)):
                pass

    def _step(self, client: httpx.Client) -> float:
        """Take one sample; return the seconds to wait before the next."""
        asked_ns = time.time_ns()
        try:
            troubles = alarms.alarms(*_get(client, alarms.ALARMS_PATH))
        except _NoAnswer as error:
            self._not_answered(asked_ns, error)
            return self._interval_s
        except ValueError as error:
            return self._not_understood(error)
        self.counts.samples += 1
        self._refusals, self._complained = 0, False
        # Only alarms block a connection, and a page of them costs the broker something.
        count = self._ask(client, alarms.CONNECTIONS_PATH, alarms.blocked) if troubles else None
        self._tell(troubles, asked_ns, count)
        self._tell_watched(asked_ns, self._queues(client))
        return self._interval_s

    def _not_answered(self, asked_ns: int, error: Exception) -> None:
        self.counts.unanswered += 1
        self._complain(str(error))
        self._watched_ns = 0
        # Where nobody ever answered there may be nothing: that says nothing of a broker.
        # Of alarms nobody knows meanwhile, so they are not told either.
        if self._answered:
            self._tell([self._silence], asked_ns, None)

    def _not_understood(self, error: Exception) -> float:
        self.counts.not_understood += 1
        self._complain(str(error))
        self._watched_ns = 0
        self._refusals += 1
        return min(self._interval_s * 2.0**self._refusals, SLOWEST_RETRY_S)

    def _complain(self, why: str) -> None:
        if not self._complained:
            _log.warning("RabbitMQ at %s is not watched: %s", self._place.base_url, why)
        self._complained = True

    def _queues(self, client: httpx.Client) -> list[str]:
        """Return the deepest queues if it is time to ask, and something to tell them with."""
        if self._watched_ns == 0 or time.monotonic() < self._queues_due_s:
            return []
        self._queues_due_s = time.monotonic() + QUEUES_EVERY_S
        return self._ask(client, alarms.QUEUES_PATH, alarms.deepest_queues) or []

    def _ask(self, client: httpx.Client, path: str, read: Callable[[bytes], T]) -> T | None:
        """Return what is told beside the alarms; None where there is no such answer."""
        try:
            return read(_get(client, path)[1])
        except _NoAnswer:
            self.counts.unanswered += 1
        except ValueError:
            self.counts.not_understood += 1
        return None

    def _tell(self, troubles: Collection[Trouble], asked_ns: int, count: Blocked | None) -> None:
        records = self._raised.tell(troubles, since_ns=asked_ns, now_ns=time.time_ns(), count=count)
        for record in records:
            self._sender.send(record)

    def _tell_watched(self, asked_ns: int, queues: list[str]) -> None:
        """Say that RabbitMQ was asked: without that, no alarm seen would mean nothing."""
        self._answered = True
        if self._watched_ns:
            more = {names.BROKER_QUEUES: queues} if queues else {}
            record = RecordSpan(
                names.BROKER_WATCHED,
                self._ids.generate_trace_id(),
                self._ids.generate_span_id(),
                None,
                self._watched_ns,
                asked_ns,
                {**self._attributes, **more},
            )
            self._sender.send(record)
        self._watched_ns = asked_ns


def _get(client: httpx.Client, path: str) -> tuple[int, bytes]:
    """Return status and body.

    Raises:
        _NoAnswer: nobody answered, or not in time.
        ValueError: an answer that no question of ours has.
    """
    until_s = time.monotonic() + ANSWER_TIMEOUT_S
    body = bytearray()
    try:
        with client.stream("GET", path) as answer:
            if answer.status_code not in (200, 503):
                raise ValueError(f"it answered with status {answer.status_code}")
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > LARGEST_ANSWER:
                    raise ValueError(f"it answered with more than {LARGEST_ANSWER} bytes")
                if time.monotonic() > until_s:
                    raise _NoAnswer(f"its answer took longer than {ANSWER_TIMEOUT_S:g} s")
    except httpx.HTTPError as error:
        raise _NoAnswer(f"{type(error).__name__} {error}".strip()) from error
    return answer.status_code, bytes(body)
