"""Leads whoever signs in to what they came for: Streamlit itself leads to the first page.

A card's link is opened on a phone, and the sign-in goes through another site and back.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.frontdoor import PATHS

COOKIE: Final = "why504_wanted"
KEPT_S: Final = 600
"""For how long a visitor may take to sign in."""
LONGEST: Final = 500
"""Characters of an address; a longer one is none of ours."""
CALLBACK: Final = "oauth2callback"
"""Last part of the address to which the provider sends people, signed in or not."""


class ComeBack:
    """ASGI middleware that keeps the wanted address in a cookie for ten minutes, for a sign-in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered, and put the cookie, or where it leads, into the answer."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        before, _, last = scope["path"].rpartition("/")

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if last in PATHS:
                    _keep(headers, address(last, request.url.query), before)
                elif last == CALLBACK:
                    _lead(headers, request.cookies.get(COOKIE, ""), before)
            await send(message)

        await self._app(scope, receive, told)


def address(page: str, query: str) -> str:
    """Return the address of a page below the explorer's own, written anew; empty if none of ours.

    Args:
        page: last part of its path.
        query: as the browser sent it.
    """
    if page not in PATHS:
        return ""
    asked = urlencode(parse_qsl(query[:LONGEST]))
    whole = f"{page}?{asked}" if asked else page
    return whole if len(whole) <= LONGEST else ""


def _keep(headers: MutableHeaders, wanted: str, folder: str) -> None:
    if wanted:
        told = f"{COOKIE}={quote(wanted, safe='')}; Max-Age={KEPT_S}; Path={folder or '/'}"
        headers.append("set-cookie", f"{told}; HttpOnly; SameSite=Lax")


def _lead(headers: MutableHeaders, kept: str, folder: str) -> None:
    # A cookie is a stranger's text like any other: what it names is looked up and written anew.
    page, _, query = unquote(kept).partition("?")
    if wanted := address(page, query):
        headers["location"] = f"{folder}/{wanted}"
    headers.append("set-cookie", f"{COOKIE}=; Max-Age=0; Path={folder or '/'}")
