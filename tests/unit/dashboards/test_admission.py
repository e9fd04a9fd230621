"""Who may look, as a table."""

from __future__ import annotations

import pytest

from dashboards.admission import Verdict, Visitor, decide, is_loopback
from dashboards.hosts import is_own

HERE = "127.0.0.1"
ALL = "0.0.0.0"
ALICE = {"email": "alice@example.com", "email_verified": True}
BOTH = ("alice@example.com", "@example.org")

TABLE = [
    # address, allowed, providers, claims, verdict
    (HERE, (), (), None, Verdict.WELCOME),
    ("::1", (), (), None, Verdict.WELCOME),
    ("localhost", (), (), None, Verdict.WELCOME),
    (ALL, (), (), None, Verdict.NOBODY_NAMED),
    (None, (), (), None, Verdict.NOBODY_NAMED),
    ("", (), (), None, Verdict.NOBODY_NAMED),
    ("10.0.0.5", (), (), None, Verdict.NOBODY_NAMED),
    ("::", (), (), None, Verdict.NOBODY_NAMED),
    ("unix:///run/why504.sock", (), (), None, Verdict.NOBODY_NAMED),
    ("explorer.example.com", (), (), None, Verdict.NOBODY_NAMED),
    (ALL, (), ("default",), ALICE, Verdict.NOBODY_NAMED),
    (ALL, ("*",), (), None, Verdict.WELCOME),
    (ALL, ("alice@example.com", "*"), (), None, Verdict.WELCOME),
    (ALL, BOTH, (), None, Verdict.NO_PROVIDER),
    (HERE, BOTH, (), None, Verdict.NO_PROVIDER),
    (ALL, BOTH, ("default",), None, Verdict.SIGN_IN),
    (HERE, BOTH, ("default",), None, Verdict.SIGN_IN),
    (ALL, BOTH, ("default",), ALICE, Verdict.WELCOME),
    (HERE, BOTH, ("default",), {"email": "bob@example.com"}, Verdict.NOT_LISTED),
]


@pytest.mark.parametrize(("address", "allowed", "providers", "claims", "verdict"), TABLE)
def test_a_visit_is_decided_by_this_table(address, allowed, providers, claims, verdict):
    assert decide(Visitor(address, allowed, providers, claims)) is verdict


CLAIMS = [
    ({"email": "ALICE@Example.COM"}, Verdict.WELCOME),
    ({"email": " alice@example.com "}, Verdict.WELCOME),
    ({"email": "anybody@example.org"}, Verdict.WELCOME),
    ({"email": "anybody@EXAMPLE.org"}, Verdict.WELCOME),
    ({"email": "alice@example.com", "email_verified": "true"}, Verdict.WELCOME),
    ({"email": "alice@example.com", "email_verified": False}, Verdict.UNVERIFIED),
    ({"email": "alice@example.com", "email_verified": "false"}, Verdict.UNVERIFIED),
    ({"email": "alice@example.com", "email_verified": None}, Verdict.UNVERIFIED),
    ({"email": "alice@example.com", "email_verified": 0}, Verdict.UNVERIFIED),
    ({}, Verdict.NOT_LISTED),
    ({"email": None}, Verdict.NOT_LISTED),
    ({"email": ["alice@example.com"]}, Verdict.NOT_LISTED),
    ({"email": ""}, Verdict.NOT_LISTED),
    ({"email": "@example.org"}, Verdict.NOT_LISTED),
    ({"email": "alice@"}, Verdict.NOT_LISTED),
    ({"email": "mallory@evil.example.org"}, Verdict.NOT_LISTED),
    ({"email": "mallory@example.org.evil"}, Verdict.NOT_LISTED),
    ({"email": "mallory@evil@example.org"}, Verdict.NOT_LISTED),
    ({"email": "alice@example.com@evil"}, Verdict.NOT_LISTED),
    ({"email": "alice@example.com, bob@evil"}, Verdict.NOT_LISTED),
    # The Kelvin sign is a k in lower case, the long s an s: other people's addresses.
    ({"email": "anybody@\u212aexample.org"}, Verdict.NOT_LISTED),
    ({"email": "*"}, Verdict.NOT_LISTED),
    ({"name": "alice@example.com", "preferred_username": "alice@example.com"}, Verdict.NOT_LISTED),
]


@pytest.mark.parametrize(("claims", "verdict"), CLAIMS)
def test_somebody_is_who_the_provider_says_and_nobody_alike(claims, verdict):
    assert decide(Visitor(None, BOTH, ("default",), claims)) is verdict


def test_a_letter_that_only_looks_the_same_in_lower_case_is_another():
    allowed = ("kim@example.com",)

    assert decide(Visitor(None, allowed, ("a",), {"email": "KIM@example.com"})) is Verdict.WELCOME
    kelvin = {"email": "\u212aim@example.com"}
    assert decide(Visitor(None, allowed, ("a",), kelvin)) is Verdict.NOT_LISTED


@pytest.mark.parametrize("entry", ["@", "", "alice", "example.com"])
def test_an_entry_that_names_nobody_lets_nobody_in(entry: str):
    assert decide(Visitor(None, (entry,), ("a",), ALICE)) is Verdict.NOT_LISTED


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8501", True),
        ("127.0.0.1", True),
        ("127.8.8.8:80", True),
        ("localhost:8501", True),
        ("LOCALHOST.:8501", True),
        ("[::1]:8501", True),
        ("evil.example:8501", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("localhost@evil.example", False),
        ("evil.example@127.0.0.1", True),
        ("10.0.0.5:8501", False),
        ("0.0.0.0:8501", False),
        ("2130706433", False),
        ("[::1", False),
        ("", False),
        ("/127.0.0.1", False),
    ],
)
def test_a_host_is_this_machine_by_its_own_names_only(host: str, own: bool):
    assert is_own(host) is own


@pytest.mark.parametrize("address", ["0", "localhost.localdomain", "127.0.0.1:80", "fe80::1", None])
def test_what_is_not_surely_this_machine_is_not(address: str | None):
    assert not is_loopback(address)
