"""The router as a process, whose first room was revoked: the second is told, and people answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from router_process import Chat, Router, chat, told, until

PUBLIC_URL = "https://alerts.example.com"


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Chat]:
    with chat(tmp_path / "second") as one:
        yield one


@pytest.fixture
def router(tmp_path: Path, room: Chat, second: Chat) -> Iterator[Router]:
    one = Router(tmp_path, room, SECOND_WEBHOOK=second.webhook, PUBLIC_URL=PUBLIC_URL)
    one.start()
    yield one
    one.kill()


def ack_url(message: dict, router: Router) -> str:
    widgets = message["cardsV2"][0]["card"]["sections"][0]["widgets"]
    buttons = [b for widget in widgets for b in widget.get("buttonList", {}).get("buttons", [])]
    (url,) = [b["onClick"]["openLink"]["url"] for b in buttons if b["text"] == "Acknowledge"]
    return url.replace(PUBLIC_URL, router.url)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_p0_reaches_the_second_room_across_a_kill_and_can_be_acknowledged(room, second, router):
    room.behave(status=403)
    begun_s = time.monotonic()
    assert router.post(told("shop", "firing"))
    time.sleep(20)
    router.kill()
    router.start()

    until(lambda: len(second.messages()) == 1, 60)
    assert 59 < time.monotonic() - begun_s < 66
    (message,) = second.messages()
    assert message["text"].startswith("<users/all> P0 · Gateway504Ratio shop · the first room")

    url = ack_url(message, router)
    assert "Not acknowledged yet" in httpx.get(url).text
    assert httpx.post(url[:-1], data={"name": "Eve"}).status_code == 403
    assert "Acknowledged by Lan" in httpx.post(url, data={"name": "Lan"}).text
    until(lambda: len(second.messages()) == 2, 10)
    assert second.messages()[1]["text"] == "P0 shop · Acknowledged by Lan"

    room.behave(status=None)
    until(lambda: len(room.messages()) == 2, 75)
    assert room.messages()[0]["text"] == "<users/all> P0 · Gateway504Ratio shop"
    assert len(second.messages()) == 2


def test_a_watcher_outside_hears_while_the_heartbeat_does(tmp_path, room):
    router = Router(tmp_path, room, PING_URL=f"{room.url}/_seen")
    pings = 'why504_alerts_pings_total{result="%s"} 1.0'
    try:
        router.start()
        until(lambda: pings % "withheld" in httpx.get(f"{router.url}/metrics").text, 10)
        assert router.post(told("watchdog", "firing", severity="none"))
        router.kill()

        router.start()
        until(lambda: pings % "ok" in httpx.get(f"{router.url}/metrics").text, 10)
    finally:
        router.kill()
