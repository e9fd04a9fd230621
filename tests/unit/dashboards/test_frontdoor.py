"""The document that every page's address answers with."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
import streamlit
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


@pytest.mark.parametrize(
    ("query", "browser", "language"),
    [
        ("", "de-DE,de;q=0.9", "en"),
        ("", "vi-VN,vi;q=0.9,en;q=0.8", "vi"),
        ("?lang=vi", "en-US", "vi"),
        ("?lang=en", "vi", "en"),
        ("?lang=%22><script>", "en", "en"),
    ],
)
def test_the_document_says_which_language_it_is_in(
    door: TestClient, query: str, browser: str, language: str
):
    answer = door.get(f"/now{query}", headers={"accept-language": browser})

    assert f'<html lang="{language}">' in answer.text


def test_a_page_may_run_only_the_scripts_that_it_came_with(door: TestClient):
    answer = door.get("/incident")

    policy = dict(
        rule.strip().split(" ", 1) for rule in answer.headers["content-security-policy"].split(";")
    )
    inline = re.findall(r"<script>(.*?)</script>", answer.text, re.S)
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in inline]
    assert len(inline) == 2
    assert policy["script-src"] == " ".join(["'self'", *(f"'sha256-{h}'" for h in hashes)])
    assert policy["default-src"] == "'self'"
    assert not any("http" in sources or "*" in sources for sources in policy.values())


def test_what_draws_charts_and_tables_is_fetched_at_once_and_is_there(door: TestClient):
    fetched = re.findall(r'modulepreload" crossorigin href="\./([^"]+)"', door.get("/now").text)

    assert len(fetched) == len(set(fetched))
    assert {"DataFrame", "ArrowVegaLiteChart", "embed"} <= {
        name.rpartition("/")[2].split(".")[0] for name in fetched
    }
    folder = Path(streamlit.__file__).with_name("static")
    assert [name for name in fetched if not (folder / name).is_file()] == []


@pytest.mark.parametrize("path", ["/_stcore/health", "/incident/_stcore/health", "/static/js/a.js"])
def test_everything_else_is_passed_on(door: TestClient, path: str):
    assert door.get(path).text == "behind"


def test_who_comes_for_an_incident_is_told_before_the_page_asks_for_it():
    coming: list[str] = []
    door = TestClient(FrontDoor(Starlette(), coming=coming.append))

    door.get("/incident?incident=abc&trace=1")
    door.get("/now")
    door.get("/static/js/a.js?incident=none")

    assert coming == ["abc", ""]


def test_only_reading_a_page_is_answered_here(door: TestClient):
    assert door.post("/incident").status_code == 405
