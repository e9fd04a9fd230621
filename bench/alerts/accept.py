"""How long until alerts are on disk: 100 payloads of 64 alerts a second, answered or not.

On a slower machine as many fewer as its yardstick says, docs/adr/0012: past what it can do at all,
a queue grows and its length tells of nothing but the machine.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import Final

from bench import yardstick
from bench.alerts.processes import Room, Router
from bench.alerts.run import Run, quantile
from bench.alerts.scene import MOST, alert
from bench.alerts.sender import Poster

PER_S: Final = 100
LASTS_S: Final = 30
TARGET_MS: Final = 50.0
_THREADS: Final = 32
"""Enough that a payload is sent when it is due although others are not answered yet."""
_HEAD_START_S: Final = 1.0
_SEVERITIES: Final = ("p2", "p1", "p2", "p1", "p2", "p1", "p2", "p1", "p2", "p0")


def measure(run: Run) -> None:
    """Add how long acknowledgements took, from when each was due to be sent."""
    per_s = PER_S * yardstick.machine()
    templates = [_template(severity) for severity in _SEVERITIES]
    waits_ms: list[float] = []
    statuses: Counter[int | None] = Counter()
    with Room(run.folder) as room, Router(run.folder, room) as router:
        _warm(router.port)
        begin_s = time.monotonic() + _HEAD_START_S
        clients = [
            threading.Thread(
                target=_send, args=(router.port, n, per_s, templates, begin_s, waits_ms, statuses)
            )
            for n in range(_THREADS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        lasted_s = time.monotonic() - begin_s
    run.at_most("accept: POST to 200, p99", quantile(waits_ms, 0.99), TARGET_MS, "ms")
    run.at_most("accept: POST to 200, p50", quantile(waits_ms, 0.5), None, "ms")
    run.at_most("accept: not answered 200", statuses.total() - statuses[200], 0)
    run.verdict.facts["accept"] = {
        "payloads a second offered, 100 on the targets' machine": round(per_s, 1),
        "payloads": len(waits_ms),
        "new alerts": len(waits_ms) * MOST,
        "payloads a second": round(len(waits_ms) / lasted_s, 1),
        "p90, ms": round(quantile(waits_ms, 0.9), 1),
        "longest, ms": round(max(waits_ms), 1),
    }


def _template(severity: str) -> bytes:
    """Return a payload with `########` where its number goes: every alert is a new one."""
    told = [alert(n, severity, "shop-$$") for n in range(MOST)]
    for n, one in enumerate(told):
        one["fingerprint"] = f"########{n:08x}"
        one["labels"]["instance"] = f"########-{n}"
    return json.dumps({"version": "4", "alerts": told}).encode()


def _send(  # noqa: PLR0913, PLR0917 - what a thread is given
    port: int, first: int, per_s: float, templates: list[bytes], begin_s: float,
    waits_ms: list[float], statuses: Counter[int | None],
) -> None:  # fmt: skip
    poster = Poster(port)
    for number in range(first, int(per_s * LASTS_S), _THREADS):
        template = templates[number % len(templates)]
        body = template.replace(b"########", b"%08x" % number).replace(b"$$", b"%d" % (number % 40))
        due_s = begin_s + number / per_s
        time.sleep(max(0.0, due_s - time.monotonic()))
        status = poster.post(body)
        waits_ms.append((time.monotonic() - due_s) * 1e3)
        statuses[status] += 1
    poster.close()


def _warm(port: int) -> None:
    """Let whatever is imported at the first request be imported."""
    poster = Poster(port)
    for n in range(20):
        poster.post({"alerts": [alert(10**9 + n, "p2", "warm")]})
    poster.close()
