"""Ports for servers that the lab starts."""

from __future__ import annotations

import random
import socket

from why504.errors import LabError

_handed_out: set[int] = set()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on, never the same one twice.

    It lies below the range from which systems take the ports of outgoing connections, so that no
    connection of a running load can take it before its server listens.

    Raises:
        LabError: none of 200 candidates was free.
    """
    for port in random.sample(range(20_000, 32_000), 200):
        if port not in _handed_out and _can_listen(port):
            _handed_out.add(port)
            return port
    raise LabError("no free TCP port on 127.0.0.1 between 20000 and 32000")


def _can_listen(port: int) -> bool:
    with socket.socket() as candidate:
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
