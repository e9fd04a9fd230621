"""How limits have to stand to each other, as a table; docs/doctor.md shows it to readers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Inner = tuple[str, ...]
"""Kinds that are waited for one after the other, so that their limits add up."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`outer` has to be longer than each of `inners`."""

    outer: str
    inners: tuple[Inner, ...]
    otherwise: str
    """What happens if it is not; ends a sentence."""
    severity: str = "inversion"


_CALLS: Final[tuple[Inner, ...]] = (
    ("llm",),
    ("memory",),
    ("broker",),
    ("redis",),
    ("call",),
)
_DATABASE: Final[tuple[Inner, ...]] = (
    ("connect",),
    ("statement",),
    ("pool", "connect", "statement"),
)

RULES: Final = (
    Rule("client", (("gateway",),), "the client is gone before it can read the gateway's answer"),
    Rule(
        "gateway",
        (("application",), ("analysis",), *_CALLS, *_DATABASE),
        "the client gets 504 while the work goes on",
    ),
    Rule(
        "gateway",
        (("pool",),),
        "when the pool is exhausted, everybody who waits becomes a 504",
    ),
    Rule(
        "gateway",
        (("idle_in_transaction",),),
        "a transaction that a lost request left open blocks others for longer than they may wait",
    ),
    Rule(
        "gateway",
        (("heartbeat",),),
        "a request that talks to a dead broker is a 504 before anybody notices",
        severity="hint",
    ),
    Rule("health_probe", (("health",),), "a slow check looks like a dead process"),
    Rule(
        "application",
        (("analysis",), *_CALLS, *_DATABASE, ("pool",)),
        "the request is cut off first, so nothing falls back and no error says what was slow",
    ),
    Rule(
        "application",
        (("idle_in_transaction",),),
        "a transaction that a lost request left open blocks others for longer than they may wait",
    ),
    Rule(
        "analysis",
        (("llm",), ("memory",)),
        "the budget is gone within one call, so nothing is left for a retry or a fallback",
    ),
    Rule(
        "statement",
        (("lock",),),
        "the statement is ended first, and its error does not say that it waited for a lock",
    ),
)
