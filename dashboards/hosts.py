"""Refuses requests that a browser believes to be for another server than this machine.

A page of a stranger's site can make its own name lead to 127.0.0.1 (DNS rebinding); its requests
then come from the same origin, and only the `Host` that they name tells.
"""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboards.admission import is_loopback
from dashboards.settings import Settings

REFUSED: Final = (
    "why504: this explorer is for this machine only, and was asked for by another name.\n"
    "Open http://127.0.0.1 with its port, or see docs/explorer.md, Who may look.\n"
)


class OwnHost:
    """ASGI middleware: what is served for this machine only answers to no foreign name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        asked = scope["type"] in ("http", "websocket")
        if not asked or not guarded() or is_own(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse(REFUSED, 421)(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})


def guarded() -> bool:
    """Return whether only this machine may look: nobody else was named, nor another guard."""
    allowed = Settings.read([], os.environ).allowed
    return not allowed and is_loopback(st.get_option("server.address"))


def is_own(host: str) -> bool:
    """Return whether a `Host` header names this machine; whatever can't be read does not."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname)
    except ValueError:
        return False
