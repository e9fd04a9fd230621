"""Stops accepting: whoever connects to a process that is about to end had better go elsewhere."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Final

_OPEN_FILES: Final = "/dev/fd"


def close_listeners(keep_port: int = -1) -> int:
    """Take every listening TCP socket from this process; return how many there were.

    Other processes that share one, such as the workers of one supervisor, go on accepting.

    Args:
        keep_port: of the probe's own page.
    """
    closed = 0
    with suppress(OSError):
        for name in os.listdir(_OPEN_FILES):
            with suppress(OSError):
                closed += _replace(int(name), keep_port)
    return closed


def _replace(number: int, keep_port: int) -> bool:
    found = socket.socket(fileno=os.dup(number))
    with found:
        if found.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if not listens or found.getsockname()[1] == keep_port:
            return False
    # Its number stays taken: of a file that is opened meanwhile the server must know nothing.
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(null, number)
    finally:
        os.close(null)
    return True
