"""What the explorer says, in English and in Vietnamese.

A page's words are constants of one module in `dashboards/words`, both languages side by side, so
that neither can be forgotten. What the engine says (sentences, evidence, advice) is English.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

ENGLISH: Final = "en"
VIETNAMESE: Final = "vi"
LANGUAGES: Final = {ENGLISH: "English", VIETNAMESE: "Tiếng Việt"}


class Said(NamedTuple):
    """One thing to say, in each language; `{names}` are filled in by `Say`."""

    en: str
    vi: str


@dataclass(frozen=True, slots=True)
class Say:
    """Says things in one language.

    What is filled in comes from telemetry more often than not: only a text without holes may be
    given to an element that interprets Markdown.
    """

    language: str = ENGLISH

    def __call__(self, said: Said, **holes: object) -> str:
        """Return the text with its holes filled."""
        text = said.vi if self.language == VIETNAMESE else said.en
        return text.format(**holes) if holes else text


def chosen(asked: str, locale: str) -> str:
    """Return the language that an address asks for, else that of the browser, else English.

    Args:
        asked: `lang` of the address or of the session; may be anything.
        locale: of the browser, as `vi-VN`; may be empty.
    """
    if asked in LANGUAGES:
        return asked
    return VIETNAMESE if locale.lower().startswith(VIETNAMESE) else ENGLISH
