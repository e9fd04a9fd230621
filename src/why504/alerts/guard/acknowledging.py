"""`/ack/<incidents>`: GET shows them and changes nothing, since previews of links ask for it; POST
acknowledges. Whoever has the link may.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from why504.alerts.cards.ack_links import AckLinks
from why504.alerts.cards.text import plain
from why504.alerts.guard import ack_page
from why504.alerts.kept.ledger import Ledger
from why504.errors import AlertsUnavailable
from why504.probe.clock import Clock

_BODY_LIMIT: Final = 4096


def ack_routes(ledger: Ledger, links: AckLinks, clock: Clock, language: str) -> APIRouter:
    """Return the routes of the page behind the button "Acknowledge"."""
    routes = APIRouter()

    def answer(link: tuple[str, str, str], name: str | None) -> HTMLResponse:
        """Answer a request for a link; a name, which may be empty, acknowledges."""
        now_ns = clock.wall_ns()
        try:
            known = ledger.acknowledgements.of(links.incidents(*link, now_ns))
            if not known:
                return _page(ack_page.message("link_over", language), 403)
            if name is not None:
                keys = [one.key for one in known]
                ledger.acknowledgements.add(keys, name, now_ns)
                known = ledger.acknowledgements.of(keys)
        except AlertsUnavailable:
            return _page(ack_page.message("not_kept", language), 503)
        return _page(ack_page.page(known, language), 200)

    @routes.get("/ack/{named}")
    def show(named: str, until: str = "", signature: str = "") -> HTMLResponse:
        return answer((named, until, signature), None)

    @routes.post("/ack/{named}")
    async def acknowledge(
        request: Request, named: str, until: str = "", signature: str = ""
    ) -> HTMLResponse:
        name = await _name(request)
        return await run_in_threadpool(answer, (named, until, signature), name)

    return routes


async def _name(request: Request) -> str:
    """Return what somebody calls themselves; of a body that is too long, nothing."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_LIMIT:
            return ""
    told = parse_qs(body.decode("utf-8", "replace")).get(ack_page.NAME, [""])[0]
    return plain(told, ack_page.NAME_LENGTH)


def _page(text: str, status: int) -> HTMLResponse:
    return HTMLResponse(text, status, headers=dict(ack_page.headers()))
