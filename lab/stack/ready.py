"""Questions that tell whether a server that was just started takes requests."""

from __future__ import annotations

import socket
from collections.abc import Callable

import httpx


def listens(port: int) -> Callable[[], bool]:
    """Return a question that is true once a TCP connection to 127.0.0.1:`port` is taken."""

    def question() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    return question


def answers(url: str) -> Callable[[], bool]:
    """Return a question that is true once `GET url` answers with a status below 500."""

    def question() -> bool:
        try:
            return httpx.get(url, timeout=1, trust_env=False).status_code < 500
        except httpx.TransportError:
            return False

    return question
