"""The router over HTTP: alerts come in here. 200 means they are on disk, 503 that they are not.

Never 429 or another 4xx for what may be sent again: Alertmanager repeats a webhook only after 5xx.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from why504.alerts.intake import Taken, from_api, from_webhook
from why504.alerts.kept.ledger import Ledger
from why504.alerts.metrics import Taking
from why504.alerts.rooms.delivery import Delivery
from why504.errors import AlertRejected, AlertsUnavailable
from why504.probe.clock import Clock

BODY_LIMIT: Final = 16 * 2**20


def create_app(
    ledger: Ledger,
    delivery: Delivery,
    registry: CollectorRegistry,
    clock: Clock,
    *,
    token: str = "",
) -> FastAPI:
    """Return the application.

    Args:
        registry: serves `/metrics`; gets what this application counts.
        token: what callers have to send as `Authorization: Bearer ...`; anybody may if empty.
    """
    app = FastAPI(title="why504 alerts", docs_url=None, redoc_url=None, openapi_url=None)
    taking = Taking(registry)

    async def take(request: Request, read: Callable[[Any, int], Taken]) -> Response:
        if not _may(request, token):
            return _problem(401, "send `Authorization: Bearer <token>`")
        try:
            taken = read(await _document(request), clock.wall_ns())
            new = await run_in_threadpool(
                ledger.take, taken.alerts, taken.unreadable, clock.wall_ns()
            )
        except AlertRejected as error:
            taking.refused()
            return _problem(400, str(error))
        except AlertsUnavailable as error:
            taking.unavailable()
            return _problem(503, str(error))
        taking.took(taken)
        delivery.wake()
        said = {"taken": len(taken.alerts), "new": new, "unreadable": taken.unreadable}
        return JSONResponse(said)

    @app.post("/alertmanager")
    async def webhook(request: Request) -> Response:
        return await take(request, from_webhook)

    @app.post("/api/v2/alerts")
    async def raised(request: Request) -> Response:
        return await take(request, from_api)

    @app.get("/healthz")
    async def health() -> Response:
        if delivery.failure:
            return _problem(503, f"alerts are kept, but not delivered: {delivery.failure}")
        return JSONResponse({"status": "ok"})

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app


async def _document(request: Request) -> Any:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_LIMIT:
            raise AlertRejected(f"the body is larger than {BODY_LIMIT} bytes")
        chunks.append(chunk)
    try:
        return json.loads(b"".join(chunks))
    except (ValueError, RecursionError) as error:
        raise AlertRejected(f"the body is not JSON: {error}") from error


def _may(request: Request, token: str) -> bool:
    if not token:
        return True
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _problem(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status_code=status)
