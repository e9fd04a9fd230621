"""Takes out of a text what identifies or unlocks something, before it leaves for a third party.

One row of the table is one kind of secret. Patterns are linear: no nested repetition, bounded
lengths, so that a hostile text can't hold the event loop.

What it can't do: names, addresses, dates of birth, health and every other thing that is private by
its meaning ("my sister is ill"); secrets that are spelt out, split over messages or encoded;
passwords without a label before them; numbers of accounts and papers without a checksum or a known
form. It makes a leak smaller, it does not make a conversation anonymous.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_TOO_MUCH: Final = 10
"""Characters that a pattern may take too much at its end."""


def _always(_: str) -> bool:
    return True


def _luhn(text: str) -> bool:
    """Return whether 13 to 19 digits carry the check digit of payment cards (ISO/IEC 7812-1)."""
    digits = [int(digit) for digit in re.sub(r"\D", "", text)]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    """Return whether it carries the check digits of ISO 13616 (modulo 97)."""
    plain = re.sub(r"\s", "", text).upper()
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _phone(text: str) -> bool:
    """Return whether it has the digits of a phone number (ITU-T E.164), and is no date."""
    count = sum(character.isdigit() for character in text)
    dated = re.fullmatch(r"\d{4}[-. ]\d{1,2}[-. ]\d{1,2}|\d{1,2}[-. ]\d{1,2}[-. ]\d{4}", text)
    return 8 <= count <= 15 and not dated


@dataclass(frozen=True, slots=True)
class Secret:
    """One kind of secret: how it looks, what else must hold, and what stands in its place."""

    name: str
    looks: re.Pattern[str]
    holds: Callable[[str], bool] = _always
    hints: tuple[str, ...] = ()
    """Lower-case texts of which one is in every such secret: most texts need no closer look."""

    def hidden(self, found: re.Match[str]) -> str:
        """Return what stands in the place of something that looks like it."""
        text = found[0]
        # The pattern may have taken a number too much, "4111 … 1111 12"; then a shorter part holds.
        shorter = (n for n in range(len(text) - 1, len(text) - MOST_TOO_MUCH, -1) if n > 0)
        ends = (len(text), *(n for n in shorter if text[n - 1].isalnum()))
        end = next((n for n in ends if self.holds(text[:n])), 0)
        return f"[{self.name}]{text[end:]}" if end else text


_KEYS: Final = "|".join(
    (
        r"(?:sk|pk|rk|gsk|lf|whsec|xai|hf|m0|glpat|npm|pypi|shpat|dop_v1|SG)[-_.][\w.-]{12,200}",
        r"gh[pousr]_\w{20,200}|github_pat_\w{20,200}",
        r"xox[abeoprs]-[\w-]{10,200}",
        r"AIza[\w-]{30,60}",
        r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}",
        r"ya29\.[\w-]{20,300}",
    )
)

SECRETS: Final = (
    Secret(
        "private key",
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{0,20000}(?:-----END [^-]{0,40}-----)?"
        ),
        hints=("-----begin ",),
    ),
    Secret(
        "data",
        re.compile(r"data:[\w/+.-]{1,80};base64,[\w+/=-]+", re.I),
        hints=(";base64,",),
    ),
    Secret(
        "jwt",
        re.compile(r"\beyJ[\w-]{8,4000}\.[\w-]{4,8000}(?:\.[\w-]{0,2000})?"),
        hints=("eyj",),
    ),
    Secret(
        "url with credentials",
        re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/@]{1,300}@\S{1,500}", re.I),
        hints=("://",),
    ),
    Secret("api key", re.compile(rf"(?<![\w-])(?:{_KEYS})")),
    Secret(
        "bearer",
        re.compile(r"\b(?:bearer|basic|token)\s{1,3}[\w.~+/=-]{16,4000}", re.I),
        hints=("bearer", "basic", "token"),
    ),
    Secret(
        "secret",
        re.compile(
            r"\b(?:password|passwd|passphrase|pwd|secret|api[ _-]?key|access[ _-]?key"
            r"|secret[ _-]?key|mật khẩu)"
            r"[\"']?\s{0,3}(?::|=|is\b|là\b)\s{0,3}\S{1,300}",
            re.I,
        ),
        hints=("pass", "pwd", "secret", "key", "mật khẩu"),
    ),
    Secret(
        "email",
        re.compile(r"(?<![\w.+-])[\w.+'%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d]{2,24}"),
        hints=("@",),
    ),
    Secret(
        "iban",
        re.compile(
            r"\b[A-Z]{2}\d{2} ?[A-Z0-9]{4}(?: ?(?=[A-Z]{0,3}\d)[A-Z0-9]{4}){1,6}"
            r"(?: ?(?=[A-Z]{0,2}\d)[A-Z0-9]{1,3})?\b",
            re.I,
        ),
        _iban,
    ),
    Secret("card", re.compile(r"\d(?<![\w.]\d)(?:[ -]?\d){12,18}(?!\w)"), _luhn),
    Secret(
        "ip", re.compile(r"\d(?<![\w.]\d)(?:\d{0,2}\.)(?:\d{1,3}\.){2}\d{1,3}(?![\w.]?\w)"), _ip
    ),
    Secret(
        "ip", re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.I), _ip
    ),
    # Twelve digits: the citizen's identity card of Vietnam; 3-2-4: the social security number.
    Secret("id number", re.compile(r"\d(?<![\w.]\d)(?:(?<=0)\d{11}|\d{2}-\d{2}-\d{4})(?!\w)")),
    # 0912 345 678, 0243.825.1234, +84 (0)91-234-5678, 0084912345678: Vietnam's; +49 30 901820.
    Secret(
        "phone",
        re.compile(r"[+0](?<![\w.].)(?:(?<=\+)|(?<=0)0)[1-9](?:[ .()/-]{0,3}\d){7,14}(?!\w)"),
        _phone,
    ),
    Secret("phone", re.compile(r"0(?<![\w.]0)[1-9](?:[ .()/-]{0,2}\d){7,9}(?!\w)"), _phone),
    Secret("phone", re.compile(r"[2-9](?<![\w.]\d)\d{2}\)?[ .-]\d{3}[ .-]\d{4}(?!\w)"), _phone),
)
"""In the order in which they are looked for: a form before those that may be a part of it."""


def redact(text: str) -> str:
    """Return the text with every secret replaced by its kind in brackets: `[email]`."""
    lower = text.lower()
    for secret in SECRETS:
        if not secret.hints or any(hint in lower for hint in secret.hints):
            text = secret.looks.sub(secret.hidden, text)
    return text
