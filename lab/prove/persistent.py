"""Clients that don't give up: `python -m lab.prove.persistent FOLDER`.

Sends each conversation of FOLDER/persistent.json at its time, again and again with the same body
until the service says 2xx, and appends to FOLDER/sent.jsonl what that took. A process of its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import httpx

from lab.load import conversation

ORDER: Final = "persistent.json"
SENT: Final = "sent.jsonl"
ATTEMPT_S: Final = 70.0
LONGEST_PAUSE_S: Final = 1.0
TOO_MANY: Final = 429
MOST_AT_ONCE: Final = 100
GIVE_UP_S: Final = 600.0
"""Bounds the run where the service never comes back: the rest then counts as lost."""


@dataclass(frozen=True, slots=True)
class Order:
    """Conversations `first` to `first + count - 1`, of `users` users in turn."""

    url: str
    first: int
    count: int
    users: int
    per_s: float


@dataclass(frozen=True, slots=True)
class Sent:
    """What it took to hand one conversation over; Unix seconds."""

    number: int
    last_sent_s: float
    """When the attempt began that was answered with success."""
    answers: Mapping[str, int]
    """Status -> attempts; `0` = the connection broke."""


def body(number: int, users: int) -> dict[str, Any]:
    """Return the conversation of this number; few users, so that they are scored at once."""
    return {**conversation(number), "user_id": f"user-{number % users:05d}"}


async def send_all(order: Order, told: TextIO) -> None:
    """Send every conversation of an order; `told` gets one line each."""
    at_once = asyncio.Semaphore(MOST_AT_ONCE)
    began_s = time.monotonic()
    async with (
        httpx.AsyncClient(base_url=order.url, timeout=ATTEMPT_S, trust_env=False) as client,
        asyncio.TaskGroup() as senders,
    ):
        for number in range(order.first, order.first + order.count):
            due_s = began_s + (number - order.first) / order.per_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            await at_once.acquire()
            sender = senders.create_task(_send(client, number, order.users, told))
            sender.add_done_callback(lambda _: at_once.release())


async def _send(client: httpx.AsyncClient, number: int, users: int, told: TextIO) -> None:
    answers: Counter[str] = Counter()
    give_up_s = time.monotonic() + GIVE_UP_S
    while time.monotonic() < give_up_s:
        sent_s = time.time()
        try:
            answer = await client.post("/v1/conversations/end", json=body(number, users))
            status = answer.status_code
        except httpx.TransportError:
            status = 0
        answers[str(status)] += 1
        if 200 <= status < 300:
            told.write(json.dumps(asdict(Sent(number, sent_s, dict(answers)))) + "\n")
            told.flush()
            return
        if 400 <= status < 500 and status != TOO_MANY:
            return  # it will never be taken
        await asyncio.sleep(random.uniform(0.1, LONGEST_PAUSE_S))


def main(folder: Path) -> None:
    """Carry out the order of this folder."""
    order = Order(**json.loads((folder / ORDER).read_text(encoding="utf-8")))
    gc.freeze()
    with (folder / SENT).open("w", encoding="utf-8") as told:
        asyncio.run(send_all(order, told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
