"""What each fault of lab/faults.py is where endpoints are `def`: the same deed, its true effect.

In a thread a blocking call blocks nobody but its own request, until all 40 threads are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from lab.faults import Fault, Marker

_TAKES_A_CONNECTION = Marker(
    "lab/sync/store.py", "self.session.execute(query)", within="def _first("
)
_ASKS_THE_LLM = Marker("lab/sync/readers.py", "self._client.chat.completions.create(")
_PIKA = Marker("lab/adapters/event_publisher.py", "= pika.BlockingConnection(")

_CHANGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "F1": {
        # Nothing is held but the thread: pika's own limit of 15 s for a handshake fills all 40.
        "description": "The broker is silent, and pika is called after the commit, in the "
        "endpoint's thread: all threads wait for the broker.",
        "mechanism": "limiter",
        "variant": "publish after the commit",
        "alert": "ThreadpoolExhausted",
        "during": {"end": 12, "suggest": 6, "livez": 1, "health": 0.5},
    },
    "F1-pool": {"variant": "publish in the transaction"},
    "A1a": {"site": Marker("lab/sync/store.py", "self.session.execute(query)", within="def find(")},
    "A1b": {"site": _TAKES_A_CONNECTION},
    "A2b": {"site": _TAKES_A_CONNECTION},
    "B1": {
        # The client that blocks the loop in `async def` is the right one here. What is wrong is
        # that it has no limit.
        "description": "Groq answers after two minutes, and its synchronous client, without a "
        "timeout, is called in `def` endpoints: all threads wait for the LLM.",
        "trigger": "B3",
        "mechanism": "limiter",
        "site": _ASKS_THE_LLM,
        "variant": "good",
        "alert": "ThreadpoolExhausted",
        "during": {"end": 3, "suggest": 6, "livez": 1, "health": 0.5, "score": 12},
    },
    "B3": {"site": _ASKS_THE_LLM},
    "A1c": {},
    "A2a": {},
    "A2c": {},
    "A3": {
        # A few threads take turns with the loop, 5 ms each: all else is slower, and answered.
        # Those who compute are too late themselves.
        "description": "Scoring compares every sentence with every other one, in its thread.",
        "mechanism": "none",
        "site": Marker("lab/sync/readers.py", "return sum(difflib"),
        "alert": "GatewayTimeouts",
        "variant": "computing",
    },
    "B2": {
        # A pause in a thread is a thread less: at three calls a second 40 would just do.
        "mechanism": "limiter",
        "alert": "ThreadpoolExhausted",
        "during": {"end": 3, "suggest": 6, "livez": 1, "health": 0.5, "score": 12},
    },
    "C1": {},
    "C2": {
        "variant": "blocking work",
        "site": Marker("lab/sync/readers.py", "os.read(self._share, 1)"),
    },
    "E1": {},
    # Two questions, one after the other.
    "G1": {"usual_llm_s": 2.5},
    "N0": {},
}
"""Fault -> fields that differ."""

LEFT_OUT: Final[Mapping[str, str]] = {
    "D1": "the synchronous service has no memory to ask",
    "G2": "its health check is bounded and has a pool of its own",
    "F1-alarm": "a broker that blocks keeps a thread as one that is silent does (F1)",
}
"""Fault -> why it has no form here."""


def in_threads(row: Fault) -> Fault:
    """Return a fault as it is where endpoints are `def`."""
    return replace(row, factory="lab.sync.app:create_app", **_CHANGES[row.id])
