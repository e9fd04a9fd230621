"""What somebody sees who may not look, and that nothing is read before it is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboards import signin
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards.conftest import Opened, interpreted, texts

AUTH = {
    "redirect_uri": "http://127.0.0.1:8501/oauth2callback",
    "cookie_secret": "0123456789abcdef0123456789abcdef",
}
PROVIDER = {
    "client_id": "why504",
    "client_secret": "secret",
    "server_metadata_url": "http://127.0.0.1:1/.well-known/openid-configuration",
}


class Untouched(told.MemoryStore):
    """A store that nobody may read."""

    def __getattribute__(self, name: str) -> Any:
        assert name not in {"extent", "evidence", "sample", "trace"}, "evidence was read"
        return super().__getattribute__(name)


@pytest.fixture
def exposed(explorer: Opened, monkeypatch: pytest.MonkeyPatch):
    """Open the explorer as others than this machine can reach it."""

    def opened(
        allowed: str,
        auth: Mapping[str, Any] | None = None,
        user: Mapping[str, Any] | None = None,
        **query: str,
    ) -> AppTest:
        monkeypatch.setenv("WHY504_EXPLORER_ALLOW", allowed)
        monkeypatch.setattr(st, "get_option", lambda _: "0.0.0.0")
        monkeypatch.setattr(st, "secrets", {"auth": auth} if auth else {})
        monkeypatch.setattr(signin.st, "user", user or {})
        return explorer("incidents", Untouched(), **query)

    return opened


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def test_whoever_is_let_in_reads_the_store_and_nobody_else_does(exposed):
    with pytest.raises(AssertionError):
        exposed("*")


def test_nobody_sees_anything_while_nobody_said_who_may(exposed):
    page = exposed("", incident="1")

    assert "nobody said who may look" in page.error[0].value
    assert "WHY504_EXPLORER_ALLOW" in page.markdown[0].value


def test_a_list_without_a_provider_lets_nobody_in(exposed):
    for auth in (None, AUTH, {**PROVIDER}, {**AUTH, **PROVIDER, "client_secret": None} | {"x": 1}):
        complete = auth is not None and set(auth) >= {*AUTH, *PROVIDER}
        page = exposed("@example.com", auth)
        if complete:
            assert labels(page)[0] == "Sign in"
        else:
            assert "no OpenID Connect provider" in page.error[0].value


def test_whoever_is_not_signed_in_is_asked_to(exposed):
    page = exposed("@example.com", {**AUTH, **PROVIDER})

    assert labels(page) == ["Sign in", "Tiếng Việt"]
    assert not page.error


def test_each_provider_has_its_button(exposed):
    page = exposed(
        "@example.com", {**AUTH, "google": PROVIDER, "okta": PROVIDER, "broken": {"client_id": "x"}}
    )

    assert labels(page)[:2] == ["Sign in with google", "Sign in with okta"]


def test_a_provider_whose_name_is_markup_has_no_button(exposed):
    page = exposed("@example.com", {**AUTH, "[x](http://evil)": PROVIDER})

    assert "no OpenID Connect provider" in page.error[0].value


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ({"email": "bob@evil.example"}, "not among those who may look"),
        ({"email": "dev@example.com", "email_verified": False}, "has not verified"),
    ],
)
def test_whoever_is_refused_is_told_why_and_can_sign_out(exposed, user, reason):
    page = exposed("@example.com", {**AUTH, **PROVIDER}, {"is_logged_in": True, **user})

    assert reason in page.error[0].value
    assert user["email"] in texts(page)
    assert labels(page)[0] == "Sign out"


def test_an_address_of_a_provider_is_never_read_as_markup(exposed):
    planted = "**[x](http://evil)**<img src=x>@evil.example"
    page = exposed("@example.com", {**AUTH, **PROVIDER}, {"is_logged_in": True, "email": planted})

    assert planted in texts(page)
    assert "evil" not in "".join(interpreted(page))


def test_claims_without_a_sign_in_are_nobodys(exposed):
    page = exposed("@example.com", {**AUTH, **PROVIDER}, {"email": "dev@example.com"})

    assert labels(page)[0] == "Sign in"


def test_whoever_is_listed_sees_the_page_and_as_whom(
    explorer: Opened, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WHY504_EXPLORER_ALLOW", "dev@example.com")
    monkeypatch.setattr(st, "get_option", lambda _: "0.0.0.0")
    monkeypatch.setattr(st, "secrets", {"auth": {**AUTH, **PROVIDER}})
    user = {"is_logged_in": True, "email": "Dev@example.com", "email_verified": True}
    monkeypatch.setattr(signin.st, "user", user)

    page = explorer("incidents", *told.both_hangs())

    assert any("blocking call in async code" in text for text in texts(page))
    assert "Dev@example.com" in texts(page)
    assert "Sign out" in labels(page)


def test_it_is_refused_in_vietnamese_too(exposed):
    page = exposed("", lang="vi")

    assert "chưa ai quy định" in page.error[0].value
