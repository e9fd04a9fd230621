"""Does one thing again and again, in a thread that no surprise ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from why504.errors import AlertsUnavailable

log = logging.getLogger(__name__)

_AGAIN_S: Final = 1.0

Work = Callable[[threading.Event], None]
"""What a thread does until it is told to stop."""


def steadily(step: Callable[[], float], what: str) -> Work:
    """Return the work of taking steps, each of which returns for how long to rest, s.

    Args:
        what: names it in the log.
    """

    def run(stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                rest_s = step()
            except AlertsUnavailable as error:
                log.warning("%s: %s", what, error)
                rest_s = _AGAIN_S
            except Exception:
                log.exception("%s failed, and is tried again", what)
                rest_s = _AGAIN_S
            stop.wait(rest_s)

    return run
