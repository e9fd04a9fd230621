"""Asks Tempo's HTTP API.

What the server does was recorded from Tempo 3.0.3: errors are plain text, 429 is a full queue and
passes, an unknown tenant is 401.
"""

from __future__ import annotations

from typing import Any, Final

from why504.stores.access import TempoSettings
from why504.stores.http import HttpClient, Refused, Server, first_line

__all__ = ["LONGEST_S", "SERVER", "Client", "Refused"]

LONGEST_S: Final = 180.0
"""All questions for one piece of evidence together."""
SERVER: Final = Server(
    name="Tempo",
    api="Tempo API of version 2",
    shorter="ask for a shorter time (--from, --to)",
    said=first_line,
)


class Client(HttpClient):
    """Asks one Tempo; may be used by several threads.

    Args:
        address: `http(s)://host:3200`, with a path before `/api` where there is one.
        settings: who asks, and how much.
        how: `transport`, `clock` and `sleep` of `HttpClient`.
    """

    def __init__(self, address: str, settings: TempoSettings, **how: Any) -> None:
        super().__init__(address, settings, SERVER, **how)
        self.settings = settings
