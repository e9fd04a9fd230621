"""The document that every page's address answers with."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboards.frontdoor import PATHS, FrontDoor
from dashboards.pages import PAGES


@pytest.fixture
def door() -> TestClient:
    behind = Starlette(routes=[Route("/{rest:path}", lambda _: PlainTextResponse("behind"))])
    return TestClient(FrontDoor(behind))


def test_every_page_has_its_door():
    assert set(PATHS) == {"", *(page.path for page in PAGES)}


@pytest.mark.parametrize("path", ["/", "/incident?incident=1&trace=2", "/prefix/request", "/now"])
def test_a_page_is_the_document_that_says_where_the_server_begins(door: TestClient, path: str):
    answer = door.get(path)

    assert answer.status_code == 200
    assert answer.text.index("window.__streamlit") < answer.text.index('<script type="module"')
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/_stcore/health", "/incident/_stcore/health", "/static/js/a.js"])
def test_everything_else_is_passed_on(door: TestClient, path: str):
    assert door.get(path).text == "behind"


def test_only_reading_a_page_is_answered_here(door: TestClient):
    assert door.post("/incident").status_code == 405
