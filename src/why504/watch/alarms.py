"""What RabbitMQ's management API answers: alarms, blocked connections, the deepest queues.

Pure: bodies in, values out. Answers come from outside, so whatever is not as documented is a
ValueError. Source: RabbitMQ's HTTP API reference, 3.8.10 to 4; recorded answers in the tests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from why504 import names

ALARMS_PATH: Final = "/api/health/checks/alarms"
"""Asks the alarm handler itself, so it is as of now; the rest below is some seconds old."""
MOST_CONNECTIONS: Final = 500
CONNECTIONS_PATH: Final = f"/api/connections?page=1&page_size={MOST_CONNECTIONS}&columns=state"
MOST_QUEUES: Final = 10
QUEUES_PATH: Final = (
    f"/api/queues?page=1&page_size={MOST_QUEUES}&sort=messages&sort_reverse=true"
    "&columns=vhost,name,messages_ready,messages_unacknowledged,consumers"
)
_MOST_ALARMS: Final = 100
_LONGEST_NAME: Final = 200
_LONGEST_KIND: Final = 40
_OK: Final = 200
_ALARMED: Final = 503


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong with a broker that lasts."""

    node: str
    """Of an alarm the node's name, `rabbit@host`; of silence the address that was asked."""
    kind: str
    """memory, disk, or silence when nobody answers there."""

    def __str__(self) -> str:
        """Return it for people: `memory alarm of node rabbit@host`."""
        if self.kind == names.BROKER_SILENT:
            return f"no answer from {self.node}"
        return f"{self.kind} alarm of node {self.node}"


@dataclass(frozen=True, slots=True)
class Blocked:
    """How many of the first 500 connections an alarm keeps from publishing."""

    blocked: int
    """Tried to publish, and are not read from any more."""
    blocking: int
    """Will be, once they try."""


def alarms(status: int, body: bytes) -> frozenset[Trouble]:
    """Return the alarms in effect in the whole cluster; none when all is well.

    Raises:
        ValueError: this is no answer of the health check.
    """
    told = _object(body)
    if status == _OK and told.get("status") == "ok":
        return frozenset()
    if status != _ALARMED or not (raised := _rows(told, "alarms")):
        raise ValueError(f"status {status} without alarms")
    return frozenset(
        Trouble(_name(row, "node"), _name(row, "resource")[:_LONGEST_KIND])
        for row in raised[:_MOST_ALARMS]
    )


def blocked(body: bytes) -> Blocked:
    """Return how many connections are blocked or about to be.

    Raises:
        ValueError: this is no page of connections.
    """
    states = [row.get("state") for row in _rows(_object(body), "items")]
    return Blocked(states.count("blocked"), states.count("blocking"))


def deepest_queues(body: bytes) -> list[str]:
    """Return queues that have messages, for people, deepest first, at most ten.

    Raises:
        ValueError: this is no page of queues.
    """
    return [
        f"{_name(row, 'name')} of {_name(row, 'vhost')}: {_count(row, 'messages_ready')} ready, "
        f"{_count(row, 'messages_unacknowledged')} unacknowledged, {_consumers(row)}"
        for row in _rows(_object(body), "items")[:MOST_QUEUES]
        if _count(row, "messages_ready") + _count(row, "messages_unacknowledged") > 0
    ]


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(told, dict):
        raise ValueError("not an object")
    return told


def _rows(told: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    rows = told.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"no list of {name}")
    return rows


def _name(row: Mapping[str, Any], name: str) -> str:
    """Return a text that can be sent: JSON may hold halves of surrogate pairs, UTF-8 may not."""
    text = row.get(name)
    if not isinstance(text, str) or not text:
        raise ValueError(f"no {name}")
    return text[:_LONGEST_NAME].encode("utf-8", "replace").decode()


def _count(row: Mapping[str, Any], name: str) -> int:
    """Return a number; 0 for a moment after the queue was made, while there is none."""
    value = row.get(name, 0)
    if not isinstance(value, int):
        raise ValueError(f"no number of {name}")
    return value


def _consumers(row: Mapping[str, Any]) -> str:
    number = _count(row, "consumers")
    return "1 consumer" if number == 1 else f"{number} consumers"
