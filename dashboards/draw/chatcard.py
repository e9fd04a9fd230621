"""A message of Google Chat as text: what people read, without markup, links and secrets.

Buttons lead to signed addresses, and a room's own address lets whoever knows it write there: of
buttons only the words are kept, and an address that looks like a room's is taken out of any text.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from dashboards.draw.text import plain

LINES: Final = 200
LINE: Final = 300
_PARTS: Final = 200
"""So many cards, sections or widgets of one parent are looked at."""
_MOST: Final = 20_000
"""Characters of one text that are looked at."""
_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TAG: Final = re.compile(r"</?[a-z][^<>]{0,300}>", re.IGNORECASE)
_SECRET: Final = re.compile(
    r"(?:https?:\s?//)?chat\.googleapis\.com/\S*|https?:\s?//\S*?[?&](?:key|token)=\S*"
    r"|\b(?:key|token)=[\w.%~+/=-]+",
    re.IGNORECASE,
)


def without_secrets(text: str, removed: str) -> str:
    """Return a text with `removed` in place of every address that lets whoever has it write."""
    return _SECRET.sub(lambda _: removed, text[:_MOST])


def notification(body: str, removed: str) -> str:
    """Return the one line that stands above a message's card; empty where there is none."""
    document = _parsed(body)
    return plain(without_secrets(_text(document.get("text")), removed), LINE)


def as_seen(body: str, removed: str) -> str:
    """Return all that people read in a message, at most 200 lines."""
    kept: list[str] = []
    for told in _lines(_parsed(body)):
        for line in told.split("\n"):
            if shown := plain(without_secrets(line, removed), LINE):
                kept.append(shown)
            if len(kept) > LINES:
                return "\n".join([*kept[:LINES], "…"])
    return "\n".join(kept)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield _text(document.get("text"))
    for one in _dicts(document.get("cardsV2")):
        card = _dict(one.get("card"))
        header = _dict(card.get("header"))
        yield _text(header.get("title"))
        yield _text(header.get("subtitle"))
        for section in _dicts(card.get("sections")):
            yield _read(section.get("header"))
            for widget in _dicts(section.get("widgets")):
                yield from _widget(widget)


def _widget(widget: dict[str, Any]) -> Iterator[str]:
    told = _dict(widget.get("decoratedText"))
    label, text = _text(told.get("topLabel")), _read(told.get("text"))
    yield f"{label}: {text}" if label and text else label or text
    yield _read(_dict(widget.get("textParagraph")).get("text"))
    buttons = _dicts(_dict(widget.get("buttonList")).get("buttons"))
    yield "  ".join(f"[{text}]" for one in buttons if (text := _text(one.get("text"))))


def _read(told: Any) -> str:
    """Return a text that Google Chat reads as a little HTML."""
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", _text(told))))


def _parsed(body: str) -> dict[str, Any]:
    try:
        return _dict(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def _dict(told: Any) -> dict[str, Any]:
    return told if isinstance(told, dict) else {}


def _dicts(told: Any) -> list[dict[str, Any]]:
    return [one for one in told[:_PARTS] if isinstance(one, dict)] if isinstance(told, list) else []


def _text(told: Any) -> str:
    return told[:_MOST] if isinstance(told, str) else ""
