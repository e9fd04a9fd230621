"""Values of a query string that are nobody's business, wherever in it they are."""

from __future__ import annotations

import pytest

from why504.probe.lean.http import url_without_secrets, without_secrets


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (b"code=s3cr3t&state=xyz", "code=REDACTED&state=xyz"),
        (b"state=xyz&code=s3cr3t", "state=xyz&code=REDACTED"),
        (b"a=1&auth_code=s3cr3t&b=2", "a=1&auth_code=REDACTED&b=2"),
        (b"CODE=s3cr3t&b=2", "CODE=REDACTED&b=2"),
        (b"c%6Fde=s3cr3t&b=2", "c%6Fde=REDACTED&b=2"),
        (b"token=s3cr3t&page=2", "token=REDACTED&page=2"),
        (b"code=s3cr3t=&code=&code", "code=REDACTED&code=REDACTED&code"),
        (b"otp=4711&page=2", "otp=REDACTED&page=2"),
        (b"page=2&PIN=4711", "page=2&PIN=REDACTED"),
        (b"user_pin=4711&otp_code=12", "user_pin=REDACTED&otp_code=REDACTED"),
        (b"userPin=4711&new-pin=12&totp=8", "userPin=REDACTED&new-pin=REDACTED&totp=REDACTED"),
        (b"p%69n=4711", "p%69n=REDACTED"),
    ],
)
def test_a_value_named_like_a_secret_is_not_told_wherever_it_is(query, told):
    assert without_secrets(query) == told


@pytest.mark.parametrize(
    "query",
    [
        b"codec=opus&page=2",
        b"page=2&q=postcode",
        b"q=%C4%91&flag",
        b"&&=1&",
        b"spin=1&pinned=1&shipping=1&laptop=1&topping=1&q=pin",
        b"SPIN=1&PINNED=1&Shipping=1&LAPTOP=1",
    ],
)
def test_whatever_is_not_named_so_stays(query):
    assert without_secrets(query) == query.decode()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://ann:s3cr3t@shop/a?token=s3cr3t&page=2", "https://shop/a?token=REDACTED&page=2"),
        ("/callback?code=s3cr3t", "/callback?code=REDACTED"),
        ("http://shop/a@b", "http://shop/a@b"),
        ("/a=b", "/a=b"),
    ],
)
def test_a_url_is_told_without_account_and_secrets(url, told):
    assert url_without_secrets(url) == told
