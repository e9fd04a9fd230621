"""Runbooks as web pages: what to do, on the phone of somebody who was just woken up.

The markdown is that of the repository. It holds no secret, so nobody has to send a token.
"""

from __future__ import annotations

import base64
import hashlib
import html
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from markdown_it import MarkdownIt
from markdown_it.token import Token

_RUNBOOKS: Final = "alerts/runbooks"
_CAUSES: Final = "docs/causes"
SERVED: Final[Mapping[str, str]] = {_RUNBOOKS: "/runbooks", _CAUSES: "/causes"}
"""Folder of markdown -> where its pages are; links between them are kept."""
_LONGEST_NAME: Final = 80
"""Characters of what somebody asked for that are repeated."""
_STYLE: Final = """
:root { color-scheme: light dark; }
body { max-width: 46rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h1 + p { font-weight: 600; }
h2 { font-size: 1.1rem; margin-top: 1.5rem; }
ol, ul { padding-left: 1.5rem; }
li { margin: .4rem 0; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
code, pre { background: rgb(128 128 128 / .18); border-radius: .25rem; }
code { padding: .1em .25em; }
pre { padding: .75rem; white-space: pre-wrap; }
pre code { padding: 0; background: none; }
"""
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<nav><a href="/runbooks">All runbooks</a></nav>
<main>
{body}
</main>
</body>
</html>
"""


def pages(root: Path) -> APIRouter:
    """Return the pages `/runbooks`, `/runbooks/<alert>` and `/causes/<id>`.

    Args:
        root: what holds the folders of `SERVED`; files are read when they are asked for.
    """
    router = APIRouter()

    def page_of(folder: str, name: str) -> Response:
        # Looked up among the files that there are: no path is ever made of what somebody sent.
        file = _files(root / folder).get(name)
        if file is None:
            return _unknown(name, _files(root / _RUNBOOKS))
        return _page(name, _as_html(file.read_text(encoding="utf-8"), folder))

    @router.get("/runbooks")
    def index() -> Response:
        return _page("Runbooks", f"<h1>Runbooks</h1>\n{_list(_files(root / _RUNBOOKS))}")

    @router.get("/runbooks/{name:path}")
    def runbook(name: str) -> Response:
        return page_of(_RUNBOOKS, name)

    @router.get("/causes/{name:path}")
    def cause(name: str) -> Response:
        return page_of(_CAUSES, name)

    return router


def _files(folder: Path) -> dict[str, Path]:
    return {file.stem: file for file in sorted(folder.glob("*.md"))}


def _list(files: Mapping[str, Path]) -> str:
    """Return a list of runbooks, the most urgent first: the second line of each begins with it."""
    told = [(file.read_text(encoding="utf-8").split("\n", 2)[1], name)
            for name, file in files.items()]  # fmt: skip
    told.sort(key=lambda one: (one[0].partition(":")[0], one[1]))
    return _as_html("\n".join(f"- [{name}]({name}.md) {fires}" for fires, name in told), _RUNBOOKS)


def _unknown(name: str, files: Mapping[str, Path]) -> Response:
    said = html.escape(name[:_LONGEST_NAME])
    body = f"<h1>Nothing here</h1>\n<p>There is no page <code>{said}</code>.</p>\n{_list(files)}"
    return _page("Nothing here", body, status=404)


def _page(title: str, body: str, status: int = 200) -> Response:
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    headers = {"content-security-policy": policy, "x-content-type-options": "nosniff"}
    said = _PAGE.format(title=html.escape(title), style=_STYLE, body=body)
    return HTMLResponse(said, status, headers)


def _as_html(text: str, folder: str) -> str:
    markdown = MarkdownIt("commonmark", {"html": False})
    tokens = markdown.parse(text)
    for token in tokens:
        _lead(token.children or [], folder)
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _lead(tokens: Sequence[Token], folder: str) -> None:
    """Let links lead to pages that are served here; of others only their text is left."""
    address: str | None = None
    for token in tokens:
        if token.type == "link_open":
            address = _address(str(token.attrs["href"]), folder)
            token.attrs = {"href": address} if address else {}
        if token.type in ("link_open", "link_close") and not address:
            token.tag = "span"


def _address(target: str, folder: str) -> str | None:
    if target.startswith("https://"):
        return target
    goal = PurePosixPath(posixpath.normpath(f"{folder}/{target}"))
    place = SERVED.get(str(goal.parent))
    return f"{place}/{goal.stem}" if place and goal.suffix == ".md" else None
