"""What happens to the deployment in the middle of a fault."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from lab.deployment import Deployment
from lab.faults import Fault

SILENCE_S: Final = 4.0
"""A minute of production, scaled like the gateway's timeout."""


def _service_killed(deployed: Deployment, _over: threading.Event) -> None:
    deployed.service.again()


def _receiver_down(deployed: Deployment, over: threading.Event) -> None:
    deployed.receiver.kill()
    over.wait(SILENCE_S)
    deployed.receiver.again()


MIDWAY: Final[Mapping[str, Callable[[Deployment, threading.Event], None]]] = {
    "nothing": lambda _deployed, _over: None,
    "service killed": _service_killed,
    "receiver down": _receiver_down,
}


@contextmanager
def midway(row: Fault, deployed: Deployment) -> Iterator[None]:
    """Let it happen once half of the load was sent, while the block goes on."""
    over = threading.Event()

    def wait_and_act() -> None:
        if not over.wait(row.lasts_s / 2):
            MIDWAY[row.midway](deployed, over)

    thread = threading.Thread(target=wait_and_act, name="midway")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
