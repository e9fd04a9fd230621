"""Alerts as Alertmanager tells them, made up: many services, all levels, and hostile text."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench.alerts.obligations import FIRING, RESOLVED, Telling

MOST: Final = 64
"""Alerts in a payload."""
LEVELS: Final = {"p0": 0.05, "p1": 0.25, "p2": 0.70}
"""Share of each."""
HOSTILE: Final = (
    "<users/all>", "<https://evil.example|Open runbook>", '<a href="https://evil.example">x</a>',
    "*bold* _it_ `code` @all", "\u202egnorw", "\x00\x1b[31m", '"}]}}]', "https://evil.example/x",
    "&lt;users/all&gt;", "🦀" * 400, "\ud800", "<b>" * 200, "www.evil.example", "javascript://x",
    "x" * 20_000, "\u2066<users/all>\u2069", "Tiếng Việt 50 %\n\tnew line", "7 firing",
)  # fmt: skip
_NEVER: Final = "0001-01-01T00:00:00Z"
_BEGUN: Final = datetime(2026, 11, 28, tzinfo=UTC)

Told = dict[str, Any]


def alert(
    number: int, severity: str, service: str, *, name: str = "LatencyP99High", said: str = "",
    begun: datetime = _BEGUN,
) -> Told:  # fmt: skip
    """Return a firing alert; of each number there is one."""
    return {
        "status": FIRING,
        "labels": {
            "alertname": name, "severity": severity, "service_name": service,
            "instance": f"{service}-{number}", "http_route": "/v1/conversations/end",
        },
        "annotations": {
            "summary": said or f"{name} of {service}",
            "description": said or "97 requests wait for a connection of pool main (15 in use)",
            "runbook_url": f"https://runbooks.example.com/{number}",
        },
        "startsAt": (begun + timedelta(milliseconds=number)).isoformat(),
        "endsAt": _NEVER,
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": f"{number:016x}",
    }  # fmt: skip


def ended(told: Told) -> Told:
    """Return the end of a firing alert, which came a minute after its begin."""
    over = datetime.fromisoformat(told["startsAt"]) + timedelta(minutes=1)
    return {**told, "status": RESOLVED, "endsAt": over.isoformat()}


def telling(told: Told) -> Telling:
    """Return what the oracle has to know of an alert."""
    return told["fingerprint"], told["status"]


def payloads(
    numbers: Sequence[int], services: Sequence[str], chance: random.Random
) -> Iterator[list[Told]]:
    """Yield payloads of one service each: what fires anew, what ends, and what is told again.

    Args:
        numbers: of the alerts that fire; each does once, and about half of them end.
    """
    firing: dict[str, list[Told]] = {service: [] for service in services}
    left = list(reversed(numbers))
    while left:
        service = chance.choice(services)
        theirs = firing[service]
        size = chance.randint(1, MOST)
        over = [ended(theirs.pop(0)) for _ in range(min(len(theirs), size // 4))]
        again = theirs[: size // 8]
        new = [
            _drawn(left.pop(), service, chance)
            for _ in range(min(len(left), size - len(over) - len(again)))
        ]
        theirs += new
        yield chance.sample(told := [*over, *again, *new], len(told))


def _drawn(number: int, service: str, chance: random.Random) -> Told:
    severity = chance.choices(list(LEVELS), list(LEVELS.values()))[0]
    name = chance.choice(("Gateway504Ratio", "DBPoolWait", "LatencyP99High", "LLMFallbackUsed"))
    if chance.random() < 0.9:
        return alert(number, severity, service, name=name)
    told = alert(
        number, severity, service, name=chance.choice((name, *HOSTILE)), said=chance.choice(HOSTILE)
    )
    told["labels"]["http_route"] = chance.choice(HOSTILE)
    return told
