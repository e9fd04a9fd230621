"""The one HTML document of the explorer: Streamlit's own, with what it leaves to chance.

It says its language. It says where its server begins: on `/incident` the front end would ask for
`/incident/_stcore/health` first, and a browser logs two errors. It fetches what charts and tables
need at once, instead of when the first of them is to be drawn. And it loads and runs nothing that
is not the explorer's own, whatever should get into a page.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import streamlit

_FRONT_END: Final = Path(streamlit.__file__).with_name("static")
_ROOT: Final = """
  const root = location.origin + location.pathname.replace(/[^/]*$/, "");
  window.__streamlit = {
    BACKEND_BASE_URL: root, HOST_CONFIG_BASE_URL: root, MAIN_PAGE_BASE_URL: root,
    HOST_CONFIG: {allowedOrigins: [location.origin], useExternalAuthToken: false}
  };
"""
"""With a HOST_CONFIG the front end connects at once, before it has asked for another."""
_NEEDED: Final = (
    "ArrowVegaLiteChart", "DataFrame", "embed", "loadVegaEmbed",
    "Button", "DownloadButton", "Html", "PageLink", "Selectbox", "lib", "remark-emoji",
)  # fmt: skip
"""What charts, tables, links and words are drawn by: parts of the front end, without hashes."""
_IMPORT: Final = re.compile(r"""(?:from|import)\s*["'`]\./([\w.-]+\.js)["'`]""")
_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.S)
_POLICY: Final = (
    "default-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; script-src 'self' {hashes}"
)


@cache
def document(language: str) -> str:
    """Return the document for readers of a language of language.py."""
    text = (_FRONT_END / "index.html").read_text(encoding="utf-8")
    links = "".join(
        f'<link rel="modulepreload" crossorigin href="./static/js/{part}">\n'
        for part in _parts(_FRONT_END / "static" / "js")
        if part not in text
    )
    for old, new in {
        '<html lang="en">': f'<html lang="{language}">',
        "<title>Streamlit</title>": "<title>why504</title>",
        "<head>": f"<head>\n<script>{_ROOT}</script>\n",
        "</head>": f"{links}</head>",
    }.items():
        text = text.replace(old, new, 1)
    return text


@cache
def policy(text: str) -> str:
    """Return the Content-Security-Policy under which only what is ours is loaded and run."""
    digests = (hashlib.sha256(script.encode()).digest() for script in _SCRIPT.findall(text))
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return _POLICY.format(hashes=hashes)


def _parts(folder: Path) -> Iterator[str]:
    """Yield the files of `_NEEDED` and those that they import, each once."""
    todo = [file.name for file in sorted(folder.glob("*.js")) if file.name.split(".")[0] in _NEEDED]
    seen: set[str] = set()
    for part in todo:
        if part not in seen:
            seen.add(part)
            yield part
            todo += _IMPORT.findall((folder / part).read_text(encoding="utf-8"))
