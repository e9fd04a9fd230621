"""What the processes of a service remember of restarts, so that none comes too soon after another.

Workers that hang together are restarted together: that is one round. A worker that was begun after
a round and hangs again has to wait, twice as long after each round.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from why504.probe.clock import Clock

try:
    import fcntl
except ImportError:  # not on Windows, where a service has one process
    fcntl = None  # type: ignore[assignment]

ROUNDS_PER_HOUR: Final = 6
LONGEST_WAIT_S: Final = 1800.0
_HOUR_NS: Final = 3600 * 10**9
_KEPT: Final = 200
_LOCK_PATIENCE_S: Final = 1.0


class Restart(NamedTuple):
    """One restart: when, of a process that began when, and why; Unix nanoseconds."""

    at_ns: int
    started_ns: int
    why: str


class Restarts:
    """A small file beside the black boxes, shared by all processes of a service.

    Args:
        wait_s: after the first round; twice as long after each one more.
    """

    def __init__(self, folder: Path, service: str, wait_s: float) -> None:
        told = re.sub(r"[^A-Za-z0-9_.-]", "_", service)[:80] or "service"
        self._path = folder / f"restarts-{told}.json"
        self._wait_s = wait_s

    def held_back_s(self, started_ns: int, now_ns: int) -> float:
        """Return for how long a process may not be restarted yet; 0.0 when it may.

        Args:
            started_ns: when it began.

        Raises:
            OSError: nobody knows, because the file can't be read.
        """
        recent = [one for one in self._read()[1] if now_ns - one.at_ns < _HOUR_NS]
        before = [
            (number, one)
            for number, one in zip(rounds(recent), recent, strict=True)
            if one.at_ns <= started_ns
        ]
        if not before:
            return 0.0
        number = max(number for number, _ in before)
        last_ns = max(one.at_ns for of, one in before if of == number)
        wait_s = min(self._wait_s * 2.0 ** (number - 1), LONGEST_WAIT_S)
        if number >= ROUNDS_PER_HOUR:
            first_ns = min(one.at_ns for _, one in before)
            wait_s = max(wait_s, (first_ns + _HOUR_NS - last_ns) / 1e9)
        return max(0.0, wait_s - (now_ns - last_ns) / 1e9)

    def total(self) -> int:
        """Return how many there were, ever; 0 where nobody knows."""
        with suppress(OSError):
            return self._read()[0]
        return 0

    def add(self, restart: Restart) -> None:
        """Remember a restart, on disk when this returns.

        Raises:
            OSError: it can't be remembered, so it must not be done.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            total, known = self._read()
            document = {"total": total + 1, "restarts": [*known, restart][-_KEPT:]}
            partial = self._path.with_suffix(".partial")
            with partial.open("w", encoding="utf-8") as file:
                json.dump(document, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)

    def _read(self) -> tuple[int, list[Restart]]:
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            return int(document["total"]), sorted(_restart(one) for one in document["restarts"])
        except FileNotFoundError:
            return 0, []
        except (ValueError, TypeError, KeyError) as error:
            raise OSError(f"{self._path} is spoilt: delete it") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._path.with_suffix(".lock").open("a") as file:
            deadline_s = time.monotonic() + _LOCK_PATIENCE_S
            while fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline_s:
                        raise
                    time.sleep(0.01)
            yield


class Permit:
    """Whether one process may be restarted, as of now.

    Args:
        started_ns: when it began, Unix nanoseconds.
    """

    def __init__(self, restarts: Restarts, clock: Clock, started_ns: int) -> None:
        self._restarts = restarts
        self._clock = clock
        self._started_ns = started_ns

    def held_back_s(self) -> float:
        """Return for how long it may not; 0.0 when it may. Raises as `Restarts.held_back_s`."""
        return self._restarts.held_back_s(self._started_ns, self._clock.wall_ns())

    def take(self, why: str) -> None:
        """Remember that it is restarted now. Raises as `Restarts.add`."""
        self._restarts.add(Restart(self._clock.wall_ns(), self._started_ns, why))


def rounds(restarts: Sequence[Restart]) -> list[int]:
    """Return which round each restart belongs to, 1 and on; input in order of time."""
    numbers: list[int] = []
    for one in restarts:
        earlier = zip(numbers, restarts, strict=False)
        numbers.append(1 + max((n for n, e in earlier if e.at_ns <= one.started_ns), default=0))
    return numbers


def _restart(told: Any) -> Restart:
    at_ns, started_ns, why = told
    return Restart(int(at_ns), int(started_ns), str(why))
