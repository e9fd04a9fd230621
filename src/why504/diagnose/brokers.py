"""What RabbitMQ told of itself during an incident: alarms, silence, or that all was well.

Said beside an answer that rests on calls to a broker; it never decides which cause is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Final

from why504 import names
from why504.diagnose.blame import Blamer
from why504.diagnose.leaves import Resting
from why504.model import Hold, Span, Victim

_MOST_LINES: Final = 5
_OF_RABBITMQ: Final = (None, "rabbitmq")
"""Values of `messaging.system`: a stall in a client library has none."""


def calls_rabbitmq(resting: Resting) -> bool:
    """Return whether blame rests on calls to a broker, and on no other kind than RabbitMQ."""
    told = (source.attributes.get(names.MESSAGING_SYSTEM) for source in resting.sources.values())
    return resting.peer == "broker" and all(system in _OF_RABBITMQ for system in told)


def asked(victims: Sequence[Victim], blamer: Blamer) -> bool:
    """Return whether RabbitMQ was asked for alarms during half of an incident or more.

    That it did not answer is an answer too.
    """
    start_ns, end_ns = _time_of(victims)
    overlaps = (
        min(blamer.end_of(one), end_ns) - max(one.start_ns, start_ns)
        for one in chain[Span | Hold](_asked(blamer), _troubles(victims, blamer))
    )
    return sum(overlap for overlap in overlaps if overlap > 0) * 2 >= end_ns - start_ns


def told_of(victims: Sequence[Victim], blamer: Blamer) -> list[str]:
    """Return what was wrong with RabbitMQ meanwhile, oldest first; empty when nothing was."""
    troubles = _troubles(victims, blamer)
    lines = [_said(hold, blamer) for hold in troubles[:_MOST_LINES]]
    if lines and (queue := _deepest_queue(victims, blamer)):
        lines.append(queue)
    return lines


def all_was_well(victims: Sequence[Victim], blamer: Blamer) -> list[str]:
    """Return that RabbitMQ answered and had no alarm, which speaks for the way to it."""
    if _troubles(victims, blamer) or not asked(victims, blamer):
        return []
    return ["RabbitMQ, asked meanwhile, answered and had no alarm: look at the way to it"]


def _time_of(victims: Sequence[Victim]) -> tuple[int, int]:
    return min(v.start_ns for v in victims), max(v.gave_up_ns for v in victims)


def _troubles(victims: Sequence[Victim], blamer: Blamer) -> list[Hold]:
    start_ns, end_ns = _time_of(victims)
    found = [
        hold
        for hold in blamer.evidence.holds
        if names.BROKER_TROUBLE in hold.attributes
        and hold.start_ns < end_ns
        and blamer.end_of(hold) > start_ns
    ]
    return sorted(found, key=lambda hold: (hold.start_ns, hold.resource))


def _asked(blamer: Blamer) -> list[Span]:
    return [span for span in blamer.evidence.spans if span.name == names.BROKER_WATCHED]


def _said(hold: Hold, blamer: Blamer) -> str:
    kind = hold.attributes[names.BROKER_TROUBLE]
    place = hold.resource.partition(":")[2]
    until = "" if hold.end_ns is None else f" to {_clock(hold.end_ns)}"
    when = f"from {_clock(hold.start_ns)}{until or ' on'} UTC"
    if kind == names.BROKER_SILENT:
        return f"RabbitMQ's management API at {place} did not answer {when}"
    blocked = hold.attributes.get(names.BROKER_BLOCKED)
    blocking = hold.attributes.get(names.BROKER_BLOCKING)
    counted = "" if blocked is None else f"; {_connections(blocked)} blocked"
    more = f", {blocking} more once they publish" if blocking else ""
    return f"RabbitMQ node {place} raised a {kind} alarm {when}{counted}{more}"


def _connections(number: object) -> str:
    return "1 connection" if number == 1 else f"{number} connections"


def _deepest_queue(victims: Sequence[Victim], blamer: Blamer) -> str:
    _, end_ns = _time_of(victims)
    told = [
        span
        for span in _asked(blamer)
        if span.attributes.get(names.BROKER_QUEUES) and span.start_ns < end_ns
    ]
    if not told:
        return ""
    last = max(told, key=lambda span: span.start_ns)
    queues = last.attributes[names.BROKER_QUEUES]
    first = queues[0] if isinstance(queues, Sequence) and not isinstance(queues, str) else queues
    return f"deepest queue at {_clock(blamer.end_of(last))} UTC: {first}"


def _clock(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, tz=UTC).strftime("%H:%M:%S")
