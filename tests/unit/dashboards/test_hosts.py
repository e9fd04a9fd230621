"""The explorer that is for this machine only answers to no foreign name."""

from __future__ import annotations

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboards.hosts import OwnHost


async def told(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("evidence")
    await socket.close()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(st, "get_option", lambda _: "127.0.0.1")
    monkeypatch.delenv("WHY504_EXPLORER_ALLOW", raising=False)
    routes = [
        Route("/{rest:path}", lambda _: PlainTextResponse("evidence")),
        WebSocketRoute("/_stcore/stream", told),
    ]
    return TestClient(OwnHost(Starlette(routes=routes)), base_url="http://127.0.0.1:8501")


def test_this_machine_is_answered(served: TestClient):
    assert served.get("/media/1.html").text == "evidence"
    with served.websocket_connect("ws://127.0.0.1:8501/_stcore/stream") as socket:
        assert socket.receive_text() == "evidence"


@pytest.mark.parametrize("path", ["/", "/incident", "/media/1.html", "/_stcore/health"])
def test_a_name_that_was_made_to_lead_here_gets_nothing(served: TestClient, path: str):
    answer = served.get(path, headers={"host": "evil.example:8501"})

    assert answer.status_code == 421
    assert "evidence" not in answer.text


def test_nor_does_its_websocket(served: TestClient):
    headers = {"host": "evil.example:8501", "origin": "http://evil.example:8501"}

    with (
        pytest.raises(WebSocketDisconnect) as refused,
        served.websocket_connect("ws://evil.example:8501/_stcore/stream", headers=headers),
    ):
        pass

    assert refused.value.code == 1008


def test_whoever_names_people_or_another_guard_may_use_any_name(
    served: TestClient, monkeypatch: pytest.MonkeyPatch
):
    for allowed in ("*", "@example.com"):
        monkeypatch.setenv("WHY504_EXPLORER_ALLOW", allowed)
        assert served.get("/", headers={"host": "explorer.example"}).text == "evidence"


def test_where_others_can_reach_it_the_page_itself_decides(
    served: TestClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(st, "get_option", lambda _: "0.0.0.0")

    assert served.get("/", headers={"host": "explorer.example"}).text == "evidence"
