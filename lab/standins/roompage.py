"""How a room looks to people: the stand-in's messages as a page, threads together.

Only what our cards are made of is drawn: `decoratedText`, `textParagraph`, `buttonList`. A card's
text is a little HTML; what is none of it is shown as it is written.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_TAG: Final = re.compile(r"<(/?(?:b|i|u|s|br))>|[<>]")
"""Tags that are shown, and what is none of them."""
_STYLE: Final = """
:root { color-scheme: light dark; --card: #fff; --line: #dadce0; --dim: #5f6368; --page: #f6f8fc; }
@media (prefers-color-scheme: dark) {
  :root { --card: #1f1f1f; --line: #444746; --dim: #9aa0a6; --page: #131314; }
}
body { font: 14px/1.45 Roboto, "Noto Sans", sans-serif; background: var(--page); margin: 0 auto;
       max-width: 640px; padding: 16px; }
.thread { border-left: 3px solid var(--line); margin: 0 0 20px; padding-left: 12px; }
.message { margin: 0 0 12px; }
.who { color: var(--dim); font-size: 12px; }
.mention { color: #1a73e8; background: #1a73e822; border-radius: 4px; padding: 0 3px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
        padding: 12px 16px; margin-top: 4px; overflow-wrap: anywhere; }
.title { font-weight: 600; font-size: 15px; }
.subtitle, .label { color: var(--dim); font-size: 12px; }
.widget { margin-top: 8px; }
section + section { border-top: 1px solid var(--line); margin-top: 10px; }
a.button { display: inline-block; border: 1px solid var(--line); border-radius: 16px;
           margin: 4px 6px 0 0; padding: 4px 12px; text-decoration: none; }
"""


def page(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return HTML of a room, its threads in the order in which they began."""
    threads: dict[str, list[Mapping[str, Any]]] = {}
    for message in messages:
        threads.setdefault(message["thread"]["name"], []).append(message)
    told = "".join(
        f'<div class="thread">{"".join(map(_message, thread))}</div>' for thread in threads.values()
    )
    return (
        '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>room</title><style>{_STYLE}</style>{told or 'Nobody has said anything yet.'}"
    )


def _message(message: Mapping[str, Any]) -> str:
    at = time.strftime("%H:%M:%S", time.gmtime(message["at"]))
    text = html.escape(message["text"])
    text = re.sub(r"&lt;(users/[\w/]+)&gt;", r'<span class="mention">@\1</span>', text)
    cards = "".join(_card(card["card"]) for card in message["cardsV2"])
    return f'<div class="message"><div class="who">why504 · {at}</div>{text}{cards}</div>'


def _card(card: Mapping[str, Any]) -> str:
    header = card.get("header", {})
    top = f'<div class="title">{html.escape(header.get("title", ""))}</div>'
    if header.get("subtitle"):
        top += f'<div class="subtitle">{html.escape(header["subtitle"])}</div>'
    sections = "".join(map(_section, card.get("sections", [])))
    return f'<div class="card">{top}{sections}</div>'


def _section(section: Mapping[str, Any]) -> str:
    widgets, header = "".join(_widgets(section)), html.escape(section.get("header", ""))
    if section.get("collapsible"):
        summary = f'<summary class="label">{header}</summary>'
        return f"<section><details>{summary}{widgets}</details></section>"
    title = f'<div class="widget label">{header}</div>' if header else ""
    return f"<section>{title}{widgets}</section>"


def _widgets(section: Mapping[str, Any]) -> Iterator[str]:
    for widget in section.get("widgets", []):
        if line := widget.get("decoratedText"):
            label = html.escape(line.get("topLabel", ""))
            text = _text(line["text"])
            yield f'<div class="widget"><div class="label">{label}</div>{text}</div>'
        elif paragraph := widget.get("textParagraph"):
            yield f'<div class="widget">{_text(paragraph["text"])}</div>'
        elif buttons := widget.get("buttonList"):
            yield f'<div class="widget">{"".join(map(_button, buttons["buttons"]))}</div>'
        else:
            yield f'<div class="widget label">{html.escape(str(widget))}</div>'


def _button(button: Mapping[str, Any]) -> str:
    url = html.escape(button["onClick"]["openLink"]["url"])
    return f'<a class="button" href="{url}">{html.escape(button["text"])}</a>'


def _text(text: str) -> str:
    return _TAG.sub(lambda found: found[0] if found[1] else html.escape(found[0]), text)
