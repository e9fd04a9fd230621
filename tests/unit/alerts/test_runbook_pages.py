"""Runbooks as pages: what is written is shown, and nothing else can be had by asking for it."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from why504.alerts.runbooks import pages

RUNBOOK = """# PoolFull
P0: the pool has had nothing left, for 30 seconds.

## Confirm
```sh
psql -c "select 1 < 2"
```

## Find the cause
- A leak: [A1a](../../docs/causes/A1a.md). [Waits](PoolWait.md) before.
- See [service](../../docs/service.md).
- [there](https://example.com/) and [bad](javascript:alert) <script>alert(1)</script>
"""


@pytest.fixture
def client(tmp_path) -> TestClient:
    files = {
        "alerts/runbooks/PoolFull.md": RUNBOOK,
        "alerts/runbooks/PoolWait.md": "# PoolWait\nP1: waits of `1 s`.\n",
        "alerts/runbooks/Beat.md": "# Beat\nnone: always.\n",
        "docs/causes/A1a.md": "# A1a: connection leak\n",
        "docs/service.md": "# The service\n",
        "secret.md": "# s3cret\n",
        "alerts/runbooks/notes.txt": "s3cret",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    app = FastAPI()
    app.include_router(pages(tmp_path))
    return TestClient(app)


def test_a_runbook_is_shown_as_it_is_written(client):
    answer = client.get("/runbooks/PoolFull")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>PoolFull</h1>" in answer.text
    assert "<h2>Confirm</h2>" in answer.text
    assert "psql -c &quot;select 1 &lt; 2&quot;" in answer.text


def test_links_lead_to_pages_that_are_served_and_of_others_only_the_text_is_left(client):
    text = client.get("/runbooks/PoolFull").text

    targets = re.findall(r'href="([^"]*)"', text)
    assert targets == ["/runbooks", "/causes/A1a", "/runbooks/PoolWait", "https://example.com/"]
    assert "See <span>service</span>." in text
    for target in targets[:3]:
        assert client.get(target).status_code == 200
    assert "<h1>A1a: connection leak</h1>" in client.get("/causes/A1a").text


def test_html_in_a_runbook_is_text(client):
    text = client.get("/runbooks/PoolFull").text

    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_nothing_but_its_own_style_is_allowed_on_a_page(client):
    answer = client.get("/runbooks/PoolFull")

    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "style=" not in answer.text


def test_all_runbooks_are_listed_the_most_urgent_first(client):
    text = client.get("/runbooks").text

    assert re.findall(r"<li><a [^>]*>(\w+)</a> (\w+): ", text) == [
        ("PoolFull", "P0"),
        ("PoolWait", "P1"),
        ("Beat", "none"),
    ]
    assert "waits of <code>1 s</code>." in text


def test_who_asks_for_what_is_not_there_is_told_what_is(client):
    answer = client.get("/runbooks/<img src=x>[a](https:evil)")

    assert answer.status_code == 404
    assert "&lt;img src=x&gt;[a](https:evil)" in answer.text
    assert '<a href="/runbooks/PoolFull">PoolFull</a>' in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/runbooks/../../secret",
        "/runbooks/..%2F..%2Fsecret",
        "/runbooks/%2e%2e/%2e%2e/secret",
        "/runbooks/..%5C..%5Csecret",
        "/runbooks//etc/passwd",
        "/runbooks/PoolFull%00",
        "/runbooks/PoolFull.md",
        "/runbooks/notes",
        "/runbooks/notes.txt",
        "/runbooks/*",
        "/runbooks/",
        "/causes/../service",
        "/causes/..%2Fservice",
    ],
)
def test_no_name_leads_out_of_the_folder(client, path):
    answer = client.get(path)

    assert answer.status_code == 404
    assert "s3cret" not in answer.text
    assert "The service" not in answer.text
