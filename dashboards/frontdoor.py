"""Hands out the one HTML document of the explorer, whatever page an address names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboards.document import document, policy
from dashboards.language import chosen

PATHS: Final = ("", "now", "incidents", "incident", "request", "llm", "alerts", "doctor")
"""The last part of the addresses of pages; a test holds them to those of pages.py."""


class FrontDoor:
    """ASGI middleware that answers for the document of pages and passes on everything else."""

    def __init__(self, app: ASGIApp, coming: Callable[[str], None] = lambda _: None) -> None:
        """Take what is behind the door, and who is told which incident a visitor comes for."""
        self._app = app
        self._coming = coming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered behind."""
        asked = scope["type"] == "http" and scope["method"] == "GET"
        if asked and scope["path"].rpartition("/")[2] in PATHS:
            request = Request(scope)
            self._coming(request.query_params.get("incident", ""))
            await _page(request)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _page(request: Request) -> HTMLResponse:
    wanted = request.query_params.get("lang", "")
    text = document(chosen(wanted, request.headers.get("accept-language", "")))
    headers = {
        "cache-control": "no-cache",
        "content-security-policy": policy(text),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    return HTMLResponse(text, headers=headers)
