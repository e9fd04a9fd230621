"""Who may look: one decision a visit, without Streamlit, and before any evidence is read."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

ANYBODY: Final = "*"
"""In the list of who may look: somebody else guards the door."""


class Verdict(Enum):
    """What becomes of a visit."""

    WELCOME = "the page is drawn"
    SIGN_IN = "whoever it is has to say so first"
    NOT_LISTED = "signed in, but not among those who may look"
    UNVERIFIED = "signed in with an address that the provider did not check"
    NOBODY_NAMED = "others can reach it, and nobody said who may look"
    NO_PROVIDER = "it is said who may look, but not who tells who somebody is"


@dataclass(frozen=True, slots=True)
class Visitor:
    """What is known before a page is drawn."""

    address: str | None
    """On which the server listens; None for all."""
    allowed: Sequence[str]
    """E-mail addresses, `@domains`, or `*`."""
    providers: Sequence[str] = ()
    """Who can tell who somebody is."""
    claims: Mapping[str, object] | None = None
    """What a provider told of whoever it is; None before."""


def decide(visitor: Visitor) -> Verdict:
    """Return what becomes of a visit.

    A list of people is obeyed wherever the server listens. Without one only this machine may look.
    """
    if ANYBODY in visitor.allowed:
        return Verdict.WELCOME
    if not visitor.allowed:
        here = is_loopback(visitor.address)
        return Verdict.WELCOME if here else Verdict.NOBODY_NAMED
    if not visitor.providers:
        return Verdict.NO_PROVIDER
    if visitor.claims is None:
        return Verdict.SIGN_IN
    if str(visitor.claims.get("email_verified", True)).lower() != "true":
        return Verdict.UNVERIFIED
    listed = _listed(visitor.claims.get("email"), visitor.allowed)
    return Verdict.WELCOME if listed else Verdict.NOT_LISTED


def is_loopback(address: str | None) -> bool:
    """Return whether an address or host name leads to this machine only, whoever uses it."""
    if address is None:
        return False
    if address.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _listed(email: object, allowed: Sequence[str]) -> bool:
    if not isinstance(email, str) or email.count("@") != 1:
        return False
    name, _, domain = (same := _folded(email)).partition("@")
    if not name or not domain:
        return False
    return any(_folded(entry) in (same, f"@{domain}") for entry in allowed)


def _folded(email: str) -> str:
    # Unicode has letters that become an ASCII one in lower case: those are somebody else's.
    email = email.strip()
    return email.lower() if email.isascii() else email
