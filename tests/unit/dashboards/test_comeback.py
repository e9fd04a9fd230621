"""Whoever signs in comes to what they asked for, and nowhere else."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboards.comeback import COOKIE, LONGEST, ComeBack, address


async def page(_: Request) -> Response:
    return PlainTextResponse("a page")


async def callback(request: Request) -> Response:
    """Answer as Streamlit does, however the sign-in went: to the first page."""
    return RedirectResponse(request.url.path.removesuffix("oauth2callback"), 302)


def visitor(folder: str = "") -> TestClient:
    routes = [Route(folder + "/oauth2callback", callback), Route(folder + "/{page:path}", page)]
    app = Starlette(routes=routes, middleware=[Middleware(ComeBack)])
    return TestClient(app, follow_redirects=False)


def led(client: TestClient, folder: str = "") -> str:
    return client.get(f"{folder}/oauth2callback?code=1").headers["location"]


@pytest.mark.parametrize("folder", ["", "/tools/why504"])
def test_a_sign_in_leads_to_the_page_that_was_asked_for_once(folder: str):
    client = visitor(folder)
    client.get(f"{folder}/request?trace=ab&incident=c%20d")

    assert led(client, folder) == f"{folder}/request?trace=ab&incident=c+d"
    assert led(client, folder) == f"{folder}/"


def test_a_card_link_names_no_page():
    client = visitor()
    client.get("/?incident=1a2b")

    assert led(client) == "/?incident=1a2b"


@pytest.mark.parametrize(
    "kept",
    [
        "https://evil.example/",
        "//evil.example",
        "..%2f..%2fevil",
        "oauth2callback%3Fcode%3D1",
        "incident%0d%0aset-cookie:x",
        "evil",
        "incident%3F" + "a%3D1%26" * LONGEST,
    ],
)
def test_a_forged_cookie_leads_to_no_place_but_pages(kept: str):
    client = visitor()
    client.cookies.set(COOKIE, kept)

    assert led(client).partition("?")[0] in ("/", "/incident")
    assert len(led(client)) <= LONGEST + 1


def test_what_is_in_a_query_is_written_anew():
    assert address("incident", "incident=a\r\nb&x=<b>") == "incident?incident=a%0D%0Ab&x=%3Cb%3E"
    assert address("_stcore/health", "") == ""
    assert address("incident", "x=" + "ü" * LONGEST) == ""
