"""The probe's threads: what each does again and again, until all are told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final

from why504.probe.safety import Guard

_JOIN_S: Final = 5.0


class Threads:
    """Runs ticks, each in a daemon thread of its own."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._stopping = threading.Event()
        self._running: list[threading.Thread] = []

    def __iter__(self) -> Iterator[threading.Thread]:
        return iter(self._running)

    def run(self, name: str, tick: Callable[[], object], every_s: float) -> None:
        """Call `tick` every so many seconds from now on."""
        thread = threading.Thread(
            target=run_forever,
            args=(tick, every_s, self._stopping, self._guard),
            name=f"why504 {name}",
            daemon=True,
        )
        thread.start()
        self._running.append(thread)

    def stop(self) -> None:
        """End every thread; one that is in the middle of something is waited for 5 s."""
        self._stopping.set()
        for thread in self._running:
            thread.join(timeout=_JOIN_S)

    def forked(self) -> None:
        """Forget them: threads do not survive a fork."""
        self._running.clear()


def run_forever(
    tick: Callable[[], object], every_s: float, stopping: threading.Event, guard: Guard
) -> None:
    """Call `tick` until `stopping`; an error in it is counted and the next tick comes."""
    site_guard = guard.site(threading.current_thread().name)
    while not stopping.wait(every_s):
        with site_guard:
            tick()
