"""Ports for servers that the lab starts."""

from __future__ import annotations

import random
import socket
import sys

from why504.errors import LabError

_handed_out: dict[int, socket.socket | None] = {}
"""Port -> the name that tells other labs on this machine that it is taken."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on, never the same one twice.

    Nor one that another lab was given and does not listen on yet, where the kernel has abstract
    names (Linux): several runs of a matrix start beside each other.

    It lies below the range from which systems take the ports of outgoing connections, so that no
    connection of a running load can take it before its server listens.

    Raises:
        LabError: none of 200 candidates was free.
    """
    for port in random.sample(range(20_000, 32_000), 200):
        if port not in _handed_out and _can_listen(port):
            try:
                _handed_out[port] = _claim(port)
            except OSError:
                continue
            return port
    raise LabError("no free TCP port on 127.0.0.1 between 20000 and 32000")


def _claim(port: int) -> socket.socket | None:
    """Take the port's name for as long as this process lives; fails if another one has it."""
    if sys.platform != "linux":
        return None
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0why504-lab-port-{port}")
    except OSError:
        name.close()
        raise
    return name


def _can_listen(port: int) -> bool:
    with socket.socket() as candidate:
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
