"""What no message may be, whatever alerts say: too large for Google Chat, or doing anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from lab.standins.googlechat import MESSAGE_BYTES, WIDGETS

MENTION: Final = "<users/all> "
"""The only one that the router makes."""
LINK_HOST: Final = "runbooks.example.com"
"""The only host that buttons may lead to."""
OWN_BREAK: Final = "<br>↳ "
"""The only markup that the router makes: between the steps of a cause."""
_ACTIVE_IN_TEXT: Final = re.compile(r"[<>|*_~`@]")
_LINK: Final = re.compile(r"[a-z]:/|www\.\w")
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def faults(body: str) -> Iterator[str]:
    """Yield what is wrong with a message, a word for each: `bytes`, `widgets`, `mention` ..."""
    if len(body.encode("utf-8", "surrogatepass")) > MESSAGE_BYTES:
        yield "bytes"
    message = json.loads(body)
    for card in message.get("cardsV2", ()):
        sections = card["card"]["sections"]
        if sum(len(section["widgets"]) for section in sections) > WIDGETS:
            yield "widgets"
    text = message["text"].removeprefix(MENTION)
    if _ACTIVE_IN_TEXT.search(text):
        yield "mention" if "<" in text else "markup"
    for key, told in [("text", text), *_strings("", message.get("cardsV2", []))]:
        yield from _faults_of(key, told)


def _faults_of(key: str, told: str) -> Iterator[str]:
    if "<" in told.replace(OWN_BREAK, ""):
        yield "markup"
    if _UNSEEN.search(told):
        yield "unseen"
    foreign = key == "url" and not told.startswith(f"https://{LINK_HOST}/")
    if foreign or (key != "url" and _LINK.search(told)):
        yield "link"


def _strings(key: str, document: Any) -> Iterator[tuple[str, str]]:
    """Yield each text, with what it is."""
    if isinstance(document, dict):
        for inner, value in document.items():
            yield from _strings(inner, value)
    elif isinstance(document, list):
        for value in document:
            yield from _strings(key, value)
    elif isinstance(document, str):
        yield key, document
