"""A router that is killed with 100,000 alerts in its queue: when is it back, and how large?"""

from __future__ import annotations

import time
from typing import Final

from bench.alerts.processes import Room, Router, memory_mb
from bench.alerts.run import Run
from bench.alerts.scene import MOST, alert
from bench.alerts.sender import Poster

QUEUED: Final = 100_000
READY_TARGET_S: Final = 2.0
MEMORY_TARGET_MB: Final = 150.0
STARTS: Final = 3
_DELIVERS_S: Final = 20.0
_SEVERITIES: Final = ("p1", "p2", "p0", "p2")


def measure(run: Run) -> None:
    """Add how long starts took and how much memory was needed."""
    with Room(run.folder, status=503) as room:
        router = Router(run.folder, room, short_hour=True)
        with router:
            _fill(router.port)
            filling_mb = memory_mb(router.pid)
            queued = router.undelivered()
        starts_s, sizes_mb = [], [filling_mb]
        for _ in range(STARTS):
            starts_s.append(router.start())
            time.sleep(2)
            sizes_mb.append(memory_mb(router.pid))
            router.kill()
        room.behave(status=None)
        with router:
            time.sleep(_DELIVERS_S)
            sizes_mb.append(memory_mb(router.pid))
            told = queued - router.undelivered()
    run.at_least("restart: changes queued", queued, QUEUED)
    run.at_most("restart: until it answers, slowest of 3", max(starts_s), READY_TARGET_S, "s")
    run.at_most("restart: most memory", max(sizes_mb), MEMORY_TARGET_MB, "MB")
    run.verdict.facts["restart"] = {
        "seconds of each start": [round(one, 2) for one in starts_s],
        "MB while taking, after each start, while delivering": [round(one) for one in sizes_mb],
        f"told in the first {_DELIVERS_S:.0f} s": told,
    }


def _fill(port: int) -> None:
    poster = Poster(port)
    for number, first in enumerate(range(0, QUEUED, MOST)):
        severity = _SEVERITIES[number % len(_SEVERITIES)]
        numbers = range(first, min(first + MOST, QUEUED))
        poster.put({"alerts": [alert(n, severity, f"shop-{number % 50}") for n in numbers]})
    poster.close()
