"""Load as clients make it: open loop, so that a service that hangs is asked on and on.

A plan and a seed give the same requests at the same moments; a thread of its own sends them.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from lab.http_client import Answer, Client, Failed
from why504.errors import LabError

USERS: Final = 200
STORED: Final = 60
"""Conversations that were stored before any load: what is scored, and what is sent again."""
MOST_SHOTS: Final = 60_000
LONGEST_S: Final = 1_800.0
MOST_PATIENT_ABORT_S: Final = 0.1

Rates = Mapping[str, float]
"""Route of `ROUTES` -> requests per second."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent; arrivals are random (Poisson), as those of many clients are."""

    rates: Rates
    duration_s: float
    abort_share: float = 0.0
    """Share of the requests whose client hangs up within 0.1 s."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One request, and when it is sent."""

    at_s: float
    route: str
    method: str
    path: str
    body: Mapping[str, Any] | None
    abort_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client saw of one request; status 0 = it hung up or the connection broke."""

    route: str
    sent_s: float
    """Unix time at which it was to be sent: a generator that falls behind hides nothing."""
    latency_s: float
    """From `sent_s` on."""
    status: int
    trace_id: str
    number: int = -1
    """Place of its shot in what was planned."""
    problem: str = ""
    """`type` of the problem detail, if it was one."""
    late_s: float = 0.0
    """By how much the generator itself was late; it is part of the latency."""


def conversation(number: int) -> dict[str, Any]:
    """Return the body of the conversation of this number, always the same one."""
    rng = random.Random(f"conversation {number}")
    turns = rng.randint(3, 12)
    log = []
    for _ in range(turns):
        log.append({"speaker": "user", "text": rng.choice(_USER_SAYS)})
        log.append({"speaker": "companion", "text": rng.choice(_COMPANION_SAYS)})
    ended_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    return {
        "conversation_id": f"conv-{number:08d}",
        "user_id": f"user-{rng.randrange(USERS):05d}",
        "log": log,
        "ended_at": ended_at.isoformat(),
    }


_USER_SAYS: Final = (
    "I had a strange day at work.",
    "Do you remember my sister's name?",
    "Tell me something about the sea!",
    "What should I cook tonight?",
    "I don't know. Maybe tomorrow.",
)
_COMPANION_SAYS: Final = (
    "How did that make you feel?",
    "Of course I do. How is she?",
    "I would love to hear more.",
    "Let us find out together.",
)

_Request = tuple[str, str, Mapping[str, Any] | None]


def _end(rng: random.Random) -> _Request:
    return "POST", "/v1/conversations/end", conversation(STORED + rng.randrange(10**7))


def _end_again(rng: random.Random) -> _Request:
    return "POST", "/v1/conversations/end", conversation(rng.randrange(STORED))


def _suggest(rng: random.Random) -> _Request:
    return "POST", "/v1/activities/suggest", {"user_id": f"user-{rng.randrange(USERS):05d}"}


def _score(rng: random.Random) -> _Request:
    number = rng.randrange(STORED)
    return "POST", f"/v1/friendship_status/calculate-score/conv-{number:08d}", None


def _status(rng: random.Random) -> _Request:
    return "GET", f"/v1/friendship_status/user-{rng.randrange(USERS):05d}", None


def _update(rng: random.Random) -> _Request:
    number = rng.randrange(STORED)
    path = f"/v1/friendship_status/calculate-score-and-update/conv-{number:08d}"
    return "POST", path, None


ROUTES: Final[Mapping[str, Callable[[random.Random], _Request]]] = {
    "end": _end,
    "end again": _end_again,
    "suggest": _suggest,
    "status": _status,
    "score": _score,
    "score and update": _update,
    "livez": lambda _: ("GET", "/v1/livez", None),
    "health": lambda _: ("GET", "/v1/health", None),
}
"""What clients ask for, by a short name."""


def shots(plan: Plan, seed: int) -> list[Shot]:
    """Return the requests of a plan in the order in which they are sent.

    Raises:
        LabError: more than 60,000 requests or half an hour.
    """
    expected = sum(plan.rates.values()) * plan.duration_s
    if expected > MOST_SHOTS or plan.duration_s > LONGEST_S:
        raise LabError(f"a load of {expected:.0f} requests in {plan.duration_s:g} s is too large")
    found: list[Shot] = []
    for route, rate in plan.rates.items():
        rng = random.Random(f"{seed} {route}")
        at_s = rng.expovariate(rate)
        while at_s < plan.duration_s:
            abort_after_s = (
                rng.uniform(0.005, MOST_PATIENT_ABORT_S)
                if rng.random() < plan.abort_share
                else None
            )
            found.append(Shot(at_s, route, *ROUTES[route](rng), abort_after_s))
            at_s += rng.expovariate(rate)
    return sorted(found, key=lambda shot: shot.at_s)


class Load:
    """A load that is under way in a thread of its own; `replies` grows meanwhile.

    Args:
        url: of the gateway.
        planned: what is sent, see `shots`.
        timeout_s: how long a client waits; longer than the gateway does.
    """

    def __init__(self, url: str, planned: Sequence[Shot], *, timeout_s: float) -> None:
        self.replies: list[Reply] = []
        self._url = url
        self._planned = planned
        self._timeout_s = timeout_s
        self._stop = threading.Event()
        self._no_more = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether requests are still to be sent or answered."""
        return self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait for the end of the load, at most so long."""
        self._thread.join(seconds)

    def finish(self) -> None:
        """Send no more; what is open may end."""
        self._no_more.set()

    def stop(self) -> None:
        """Cut what is open and send no more."""
        self._no_more.set()
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.run(self._fire_all())

    async def _fire_all(self) -> None:
        client = Client(self._url, timeout_s=self._timeout_s)
        began_s = time.monotonic()
        open_requests: set[asyncio.Task[None]] = set()
        for number, shot in enumerate(self._planned):
            due_s = began_s + shot.at_s
            while not self._no_more.is_set() and time.monotonic() < due_s:
                await asyncio.sleep(min(0.05, max(0, due_s - time.monotonic())))
            if self._no_more.is_set():
                break
            task = asyncio.create_task(self._fire(client, shot, number, due_s))
            open_requests.add(task)
            task.add_done_callback(open_requests.discard)
        while open_requests and not self._stop.is_set():
            await asyncio.wait(open_requests, timeout=0.1)
        for task in open_requests:
            task.cancel()
        client.close()

    async def _fire(self, client: Client, shot: Shot, number: int, due_s: float) -> None:
        late_s = time.monotonic() - due_s
        sent_s = time.time() - late_s
        status, trace_id, problem = 0, "", ""
        try:
            async with asyncio.timeout(shot.abort_after_s):
                answer = await client.request(shot.method, shot.path, shot.body)
            status, trace_id = answer.status, answer.headers.get("x-trace-id", "")
            problem = _problem(answer)
        except Failed:
            pass  # told as status 0
        latency_s = time.monotonic() - due_s
        reply = Reply(shot.route, sent_s, latency_s, status, trace_id, number, problem, late_s)
        self.replies.append(reply)


def _problem(answer: Answer) -> str:
    """Return the kind of a problem detail (RFC 9457), or nothing."""
    if answer.headers.get("content-type") != "application/problem+json":
        return ""
    return str(json.loads(answer.body).get("type", "about:blank"))


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts and latencies of a load, as its clients saw it."""

    requests: int
    statuses: Mapping[int, int] = field(default_factory=dict)
    p50_s: float = 0.0
    p99_s: float = 0.0
    first_504_s: float | None = None
    """Unix time at which the first 504 arrived."""


def summary(replies: Sequence[Reply]) -> Summary:
    """Return what a load looked like; percentiles are nearest-rank."""
    if not replies:
        return Summary(0)
    latencies_s = sorted(reply.latency_s for reply in replies)
    gave_up_s = [reply.sent_s + reply.latency_s for reply in replies if reply.status == 504]
    return Summary(
        requests=len(replies),
        statuses=dict(sorted(Counter(reply.status for reply in replies).items())),
        p50_s=_rank(latencies_s, 0.5),
        p99_s=_rank(latencies_s, 0.99),
        first_504_s=min(gave_up_s, default=None),
    )


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
