"""A post-mortem as one HTML file: no script, no link, nothing fetched from anywhere.

Whatever text says, it is escaped; figures were reduced to shapes and text (figures.py). The policy
in the file's head holds should either ever fail.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from dashboards.share.blocks import (
    Chart,
    Code,
    Document,
    Figure,
    Heading,
    Items,
    Paragraph,
    Section,
    Steps,
    Table,
    Todo,
)

STYLE: Final = Path(__file__).with_name("postmortem.css")
SHORT: Final = 14
"""Characters of a cell that is never broken into lines: a figure, a time."""
_PAGE: Final = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<ul class="facts">{facts}</ul>
{sections}
</main>
</body>
</html>
"""


Written = Paragraph | Items | Heading | Steps | Table | Code | Figure | Todo
"""Everything but a chart that nobody drew."""


def html(document: Document) -> str:
    """Return the file's text."""
    style = STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return _PAGE.format(
        language=escape(document.language),
        policy=policy,
        title=escape(document.title),
        style=style,
        facts=_items(document.facts),
        sections="\n".join(_section(section) for section in document.sections),
    )


def _section(section: Section) -> str:
    body = "\n".join(_block(b) for b in section.blocks if not isinstance(b, Chart))
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{body}\n</section>"


def _block(block: Written) -> str:
    match block:
        case Steps():
            return _steps(block)
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)
        case Items(texts, numbered):
            return _list(texts, "ol" if numbered else "ul")
        case Todo(texts):
            return f'<div class="todo">{_list(texts, "ul")}</div>'
        case _:
            return _text(block)


def _text(block: Paragraph | Heading | Code) -> str:
    text = escape(block.text)
    match block:
        case Heading():
            return f"<h3>{text}</h3>"
        case Code():
            return f"<pre>{text}</pre>"
        case Paragraph(strong=True):
            return f'<p class="strong">{text}</p>'
        case _:
            return f"<p>{text}</p>"


def _list(texts: Sequence[str], kind: str) -> str:
    return f"<{kind}>{_items(texts)}</{kind}>"


def _items(texts: Sequence[str]) -> str:
    return "".join(f"<li>{escape(text)}</li>" for text in texts)


def _steps(steps: Steps) -> str:
    said = [
        f'<li><div class="what">{escape(step.what)}</div>'
        f'<div class="lost">{escape(step.lost)}</div>'
        f"<ul>{_items(step.evidence)}</ul></li>"
        for step in steps.steps
    ]
    return f'<ol class="steps">{"".join(said)}</ol>'


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    rows = ["<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in table.rows]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(text: str) -> str:
    kind = ' class="short"' if len(text) <= SHORT else ""
    return f"<td{kind}>{escape(text)}</td>"


def _figure(figure: Figure) -> str:
    return (
        f'<figure role="img" aria-label="{escape(figure.alt)}">'
        f'<div class="wide">{figure.wide}</div><div class="narrow">{figure.narrow}</div></figure>'
    )
