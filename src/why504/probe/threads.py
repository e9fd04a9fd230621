"""The probe's threads: what each does again and again, until all are told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from why504.probe.safety import Guard

_JOIN_S: Final = 5.0


class Threads:
    """Runs ticks, each in a daemon thread of its own."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        # Held until all are to stop. Not an event: waiting for one with a limit is Python's own
        # code, which a probe that wakes up many times a second pays for each time.
        self._stopping = threading.Lock()
        self._stopping.acquire()
        self._running: list[threading.Thread] = []

    def __iter__(self) -> Iterator[threading.Thread]:
        return iter(self._running)

    def run(
        self, name: str, tick: Callable[[], object], every_s: float | Callable[[], float]
    ) -> None:
        """Call `tick` every so many seconds from now on; a function says how many each time."""
        pause_s = every_s if callable(every_s) else partial(float, every_s)
        thread = threading.Thread(
            target=run_forever,
            args=(tick, pause_s, self._stopping, self._guard),
            name=f"why504 {name}",
            daemon=True,
        )
        thread.start()
        self._running.append(thread)

    def stop(self) -> None:
        """End every thread; one that is in the middle of something is waited for 5 s."""
        if self._stopping.locked():
            self._stopping.release()
        for thread in self._running:
            thread.join(timeout=_JOIN_S)

    def forked(self) -> None:
        """Forget them: threads do not survive a fork."""
        self._running.clear()


def run_forever(
    tick: Callable[[], object],
    pause_s: Callable[[], float],
    stopping: threading.Lock,
    guard: Guard,
) -> None:
    """Call `tick` until `stopping` is free; an error is counted, and the next tick comes."""
    site_guard = guard.site(threading.current_thread().name)
    while not stopping.acquire(timeout=pause_s()):
        with site_guard:
            tick()
    stopping.release()  # the others' turn
