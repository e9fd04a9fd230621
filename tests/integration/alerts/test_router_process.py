"""The router as a process: killed at any moment it loses nothing and says nothing twice."""

from __future__ import annotations

import json
import random
import re
import signal
import threading
import time

import httpx
from router_process import SECRET, Router, told, until

KILLS = 6
SERVICES = 30


def test_a_p0_is_in_the_room_within_seconds(room, router):
    begun_s = time.monotonic()

    assert router.post(told("shop", "firing"))
    until(lambda: len(room.messages()) == 1, 10)

    assert time.monotonic() - begun_s < 5
    (message,) = room.messages()
    assert message["text"] == "<users/all> P0 · Gateway504Ratio shop"
    assert "requests of shop time out" in json.dumps(message["cardsV2"])


def test_killed_at_any_moment_it_loses_nothing_doubles_nothing_and_keeps_the_order(room, router):
    """What was answered 200 is an obligation; the rest is sent again, as Alertmanager would."""
    room.behave(apart_s=0.0)
    chance = random.Random(504)
    events = [
        told(f"shop-{n}", status, end=end)
        for n in range(SERVICES)
        for status, end in (("firing", ""), ("resolved", "2026-11-28T08:01:00Z"))
    ]
    # The begin of each comes before its end, and everything else is in any order.
    events.sort(key=lambda one: (one["status"] == "resolved", chance.random()))
    done = threading.Event()

    def send_all() -> None:
        for event in events:
            while not router.post(event):
                time.sleep(0.05)
            time.sleep(chance.uniform(0, 0.4))
        done.set()

    sender = threading.Thread(target=send_all, daemon=True)
    sender.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.1, 2.0))
        router.kill()
        router.start()
    sender.join(120)
    assert done.is_set()
    until(lambda: 'undelivered{level="p0"} 0.0' in httpx.get(f"{router.url}/metrics").text, 120)

    messages = room.messages()
    assert len({message["requestId"] for message in messages}) == len(messages)
    said = [json.dumps(message, ensure_ascii=False) for message in messages]
    for n in range(SERVICES):
        named = [text for text in said if re.search(rf"shop-{n}\b", text)]
        assert any("resolved" in text for text in named), f"the end of shop-{n} was lost"
    for n in range(SERVICES):
        own = [m for m in messages if m["text"].endswith(f" shop-{n}")]
        over = ["resolved" in m["text"] for m in own]
        assert over == sorted(over)


def test_it_stops_when_told_to_and_goes_on_later(room, router):
    room.behave(status=503)
    assert router.post(told("shop", "firing"))
    time.sleep(1)

    router.process.send(signal.SIGTERM)
    assert router.process.wait(20) is not None
    router.kill()  # what is left of it: the lab's own connection

    room.behave(status=None)
    router.start()
    until(lambda: len(room.messages()) == 1, 10)


def test_the_webhooks_address_is_nowhere(room, router, tmp_path):
    """Nor is that of the second room, the canary's, or the watcher's."""
    router.kill()
    hooks = {f"{name}_WEBHOOK": room.webhook.replace("/A/", f"/{name}/")
             for name in ("SECOND", "CANARY")}  # fmt: skip
    router = Router(tmp_path, room, **hooks, PING_URL=f"{room.url}/{SECRET}")
    room.behave(status=500)
    router.start()
    router.post(told("shop", "firing"))
    until(lambda: "INTERNAL" in httpx.get(f"{router.url}/healthz").text, 20)
    pages = "".join(httpx.get(f"{router.url}{path}").text for path in ("/healthz", "/metrics"))
    until(lambda: "canary did not arrive" in router.log.read_text(), 20)
    router.kill()

    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) >= 2
    assert SECRET not in pages
    # The stand-in's own files are not written by the router.
    assert not any(SECRET.encode() in data for data in written)
