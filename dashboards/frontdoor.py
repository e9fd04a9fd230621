"""Hands out the one HTML document of the explorer, whatever page an address names.

Streamlit's front end does not know where its server begins: on `/incident` it asks for
`/incident/_stcore/health` first, and a browser logs two errors. The document says it here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PATHS: Final = ("", "now", "incidents", "incident", "request", "llm", "alerts", "doctor")
"""The last part of the addresses of pages; a test holds them to those of pages.py."""
_ROOT: Final = """<script>
{
  const root = location.origin + location.pathname.replace(/[^/]*$/, "");
  window.__streamlit = {
    BACKEND_BASE_URL: root, HOST_CONFIG_BASE_URL: root, MAIN_PAGE_BASE_URL: root
  };
}
</script>
"""


class FrontDoor:
    """ASGI middleware that answers for the document of pages and passes on everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        document = Path(streamlit.__file__).with_name("static") / "index.html"
        self._page = document.read_text(encoding="utf-8").replace("<head>", f"<head>\n{_ROOT}", 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered behind."""
        asked = scope["type"] == "http" and scope["method"] == "GET"
        if asked and scope["path"].rpartition("/")[2] in PATHS:
            headers = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
            await HTMLResponse(self._page, headers=headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
