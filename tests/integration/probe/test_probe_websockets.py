"""A websocket is told by its route while it lasts, and is no request that somebody waits for."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from websockets.sync.client import connect

import why504
from why504 import names
from why504.config import ProbeSettings

UNSAMPLED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}


@pytest.mark.parametrize("headers", [{}, UNSAMPLED], ids=["sampled", "not sampled"])
def test_a_websocket_that_is_open_is_told_by_its_route(headers, collector, serving):
    app = FastAPI()

    @app.websocket("/rooms/{room}")
    async def room(socket: WebSocket, room: str) -> None:
        await socket.accept()
        await asyncio.sleep(20)

    settings = ProbeSettings(
        endpoint=collector.endpoint, metrics_port=0, snapshot_after_s=0.3, metrics_token=""
    )
    probe = why504.instrument(app, settings=settings)
    try:
        with serving(app) as url:
            address = f"ws{url.removeprefix('http')}/rooms/7"
            with connect(address, additional_headers=headers):
                snapshot = collector.wait_for(lambda: collector.of_kind("snapshot"))[0]
                debug = httpx.get(f"http://127.0.0.1:{probe.port}/debug/requests").json()
                metrics = httpx.get(f"http://127.0.0.1:{probe.port}/metrics").text
    finally:
        probe.shutdown()

    assert snapshot.attributes[names.HTTP_ROUTE] == "/rooms/{room}"
    assert snapshot.attributes[names.URL_SCHEME] == "ws"
    assert names.HTTP_METHOD not in snapshot.attributes
    (shown,) = debug["requests"]
    assert (shown["method"], shown["route"], shown["path"]) == (
        "WEBSOCKET", "/rooms/{room}", "/rooms/7",
    )  # fmt: skip
    assert shown["site"].startswith("tests/integration/probe/test_probe_websockets.py")
    assert f"{names.METRIC_INFLIGHT_OLDEST_S} 0.0" in metrics
    assert "/rooms/" not in metrics
