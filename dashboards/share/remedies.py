"""What would have helped, what to do now, and what this project says of the cause."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from dashboards.draw.text import plain
from dashboards.share.blocks import Block, Heading, Items, Paragraph, Section, Table
from dashboards.share.telling import Telling, cell
from dashboards.words import incident
from dashboards.words import share as words
from why504.model import Counterfactual

ADVICE_SHOWN: Final = 12
_NUMBER: Final = re.compile(r"\d+\. ")
_HEADING: Final = re.compile(r"^#.*$", re.MULTILINE)
_PART: Final = re.compile(r"\n(?=\n|#|- |\d+\. )")
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_ONLY_HERE: Final = "## Try it"
"""The last part of a cause's page is for people who have the project at hand."""


def helped(telling: Telling) -> Section:
    """Return what the replay says of changes, or why it says nothing."""
    say, replay = telling.say, telling.dossier.incident.replay
    if replay is None:
        told: list[Block] = [Paragraph(say(words.NOT_PLAYED))]
    elif replay.why_not:
        told = [Paragraph(say(words.NO_REPLAY, why=plain(replay.why_not)))]
    else:
        faith = say(words.FAITH, same=replay.same, count=replay.requests)
        told = [_tried(telling, replay.tried), Paragraph(faith)]
    return Section(say(words.HELP), told)


def _tried(telling: Telling, tried: Sequence[Counterfactual]) -> Block:
    say = telling.say
    if not tried:
        return Paragraph(say(words.NOTHING))
    rows = [
        [cell(one.change), say(words.STILL_OF, left=one.left, count=one.victims), f"{one.new:,}"]
        for one in tried
    ]
    header = [say(word) for word in (words.IF, words.STILL, words.NEW)]
    return Table(header, telling.shown(rows))


def todo(telling: Telling) -> Section:
    """Return the advice of the engine."""
    advice = [plain(text) for text in telling.dossier.incident.finding.advice[:ADVICE_SHOWN]]
    told = Items(advice, numbered=True) if advice else Paragraph(telling.say(words.NOTHING))
    return Section(telling.say(incident.WHAT_TO_DO), [told])


def about(telling: Telling) -> list[Section]:
    """Return what this project says of the cause; nothing where it has no page."""
    page = telling.dossier.cause_page
    if not page:
        return []
    name = f"docs/causes/{plain(telling.dossier.incident.finding.cause, 40)}.md"
    title = telling.say(words.ABOUT_CAUSE, page=name)
    return [Section(title, list(_blocks(page.partition(_ONLY_HERE)[0])))]


def _blocks(page: str) -> Iterator[Block]:
    """Yield a page of docs/causes, which uses headings, paragraphs and lists."""
    for kind, lines in groupby(_lines(page), key=lambda line: line[0]):
        texts = [text for _, text in lines]
        match kind:
            case "heading":
                yield from (Heading(text) for text in texts)
            case "item" | "number":
                yield Items(texts, numbered=kind == "number")
            case "text":
                yield from (Paragraph(text) for text in texts)


def _lines(page: str) -> Iterator[tuple[str, str]]:
    """Yield each part with its kind; lines that go on are joined."""
    for part in _PART.split(_HEADING.sub(r"\g<0>\n", page)):
        text = " ".join(_LINK.sub(r"\1", part).replace("`", "").split())
        number = _NUMBER.match(text)
        if text.startswith("# ") or not text:
            continue
        if text.startswith("## "):
            yield "heading", text[3:]
        elif text.startswith("- "):
            yield "item", text[2:]
        elif number:
            yield "number", text[number.end() :]
        else:
            yield "text", text
