"""What a post-mortem is made of: text without markup, which each kind of file writes its way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    texts: Sequence[str]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """What a part of a section is about."""

    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chain, one level deeper than the one before it."""

    what: str
    lost: str
    evidence: Sequence[str]


@dataclass(frozen=True, slots=True)
class Steps:
    """A chain, first step first."""

    steps: Sequence[Step]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; every row is as long as the header."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Code:
    """Lines whose spaces matter."""

    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing that is still to be made; a file may be without it, so it tells nothing alone."""

    name: str
    """Letters only, another one for each chart of a file."""
    alt: str
    """What it shows, for people who can't see it."""
    make: Callable[[], Any]
    """Makes it with its words and lines in `figures.INK`: a chart of Altair's, or of Vega-Lite."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing."""

    wide: str
    """SVG for a page."""
    narrow: str
    """SVG for a phone."""
    alt: str
    """What it shows, for people who can't see it."""


@dataclass(frozen=True, slots=True)
class Todo:
    """Boxes to tick."""

    texts: Sequence[str]


Block = Paragraph | Items | Heading | Steps | Table | Code | Chart | Figure | Todo


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole post-mortem."""

    language: str
    title: str
    facts: Sequence[str]
    """Under the title: which incident, when it was made, from what."""
    sections: Sequence[Section]
