"""A post-mortem as Markdown in which nothing of telemetry is markup, for a wiki or an issue.

Backslashes keep CommonMark from reading anything. GitHub and GitLab also look for mentions,
references, emoji and addresses, in text that was unescaped before: a space stands in their way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from dashboards.share.blocks import (
    Block,
    Chart,
    Code,
    Document,
    Figure,
    Heading,
    Items,
    Paragraph,
    Steps,
    Table,
    Todo,
)

_MARKUP: Final = re.compile(r"[\\`*_{}\[\]<>|~$&]")
_BEGINS: Final = re.compile(r"[#+=:>-]|\d+[.)](?!\S)")
"""What makes more than a paragraph of a line that begins with it."""
_ADDRESS: Final = re.compile(r"(?<=[A-Za-z]):(?=/)|(?<=\bwww)\.|(?<=mailto):", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"(?<!\w)([@#!$%&~^:])(?=\w)|(?<=\w)@(?=\w)|\bG[HL]-(?=\d)", re.I)
_TICKS: Final = re.compile("`+")


def markdown(document: Document) -> str:
    """Return the file's text; figures are left out, for what they show is told in words too."""
    lines = [f"# {said(document.title)}", "", *(f"- {said(fact)}" for fact in document.facts)]
    for section in document.sections:
        lines += ["", f"## {said(section.title)}"]
        for block in section.blocks:
            if not isinstance(block, Chart | Figure):
                lines += ["", *_block(block)]
    return "\n".join(lines) + "\n"


def said(text: str) -> str:
    """Return one line of text of which a reader of Markdown reads nothing but text."""
    apart = _ADDRESS.sub(r"\g<0> ", text)
    apart = _REFERENCE.sub(r"\g<0> ", apart)
    escaped = _MARKUP.sub(r"\\\g<0>", apart.strip())
    begins = _BEGINS.match(escaped)
    if begins is None:
        return escaped
    end = begins.end() - 1
    return f"{escaped[:end]}\\{escaped[end:]}"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text, strong):
            yield f"**{said(text)}**" if strong else said(text)
        case Heading(text):
            yield f"### {said(text)}"
        case Items(texts, numbered):
            marks = (f"{n}." for n in range(1, len(texts) + 1)) if numbered else ["-"] * len(texts)
            yield from (f"{mark} {said(text)}" for mark, text in zip(marks, texts, strict=True))
        case Todo(texts):
            yield from (f"- [ ] {said(text)}" for text in texts)
        case Steps():
            yield from _steps(block)
        case Table():
            yield _row(block.header)
            yield _row_of("---" for _ in block.header)
            yield from (_row(row) for row in block.rows)
        case Code(text):
            fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(text)), default=0))
            yield from (fence, *text.split("\n"), fence)


def _steps(steps: Steps) -> Iterator[str]:
    for depth, step in enumerate(steps.steps):
        indent = "  " * depth
        yield f"{indent}- {said(step.what)} ({said(step.lost)})"
        yield from (f"{indent}  - {said(sentence)}" for sentence in step.evidence)


def _row(cells: Sequence[str]) -> str:
    return _row_of(said(cell) for cell in cells)


def _row_of(cells: Iterator[str]) -> str:
    return f"| {' | '.join(cells)} |"
