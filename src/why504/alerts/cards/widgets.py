"""Pieces of Google Chat's cards, and what of them fits into a message.

Limits of Google Chat: 32,000 bytes a message, 100 widgets a card; of a card with more, whole
sections vanish without a word. So everything that is added has to fit into what is left.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from why504.alerts.cards.text import in_card, in_title

MESSAGE_BYTES: Final = 32_000
WIDGETS: Final = 100
_SPARE_BYTES: Final = 2_500
"""Of a message: for what is around the sections."""
LINE: Final = 300
"""Characters."""

Json = dict[str, Any]


@dataclass(slots=True)
class Room:
    """What still fits into a message."""

    bytes_left: int = MESSAGE_BYTES - _SPARE_BYTES
    widgets_left: int = WIDGETS - 1
    widgets: list[Json] = field(default_factory=list)

    def add(self, *widgets: Json) -> bool:
        """Add widgets, all or none."""
        size = sum(len(as_bytes(widget)) + 1 for widget in widgets)
        if size > self.bytes_left or len(widgets) > self.widgets_left:
            return False
        self.bytes_left -= size
        self.widgets_left -= len(widgets)
        self.widgets += widgets
        return True


def line(label: str, text: str, most: int = LINE) -> Json:
    """Return a line of text with a label above it; both may be a stranger's."""
    told = {"topLabel": in_title(label, LINE), "text": in_card(text, most), "wrapText": True}
    return {"decoratedText": told}


def as_bytes(document: Json) -> bytes:
    """Return JSON as it is sent."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )
