"""So many requests a client: more are answered 429, at once and before their body is read.

A client is the address that uvicorn names. Behind a gateway that sends X-Forwarded-For start
uvicorn with `--proxy-headers --forwarded-allow-ips <gateway>`; else the gateway is the only client.
Header fields: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

import math
from typing import Final

from limits import RateLimitItem
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.infrastructure.api.problems import TOO_MANY, problem
from service.infrastructure.redis.metrics import RateMetrics
from service.infrastructure.redis.rate_counter import RateCounter

EXEMPT: Final = frozenset({"/v1/health", "/v1/livez"})
"""Whoever watches the service must not be told that it asks too often."""


class RateLimit:
    """Lets `limit` requests of each client through."""

    def __init__(
        self, app: ASGIApp, *, limit: RateLimitItem, counter: RateCounter, metrics: RateMetrics
    ) -> None:
        self._app = app
        self._limit = limit
        self._counter = counter
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            await self._app(scope, receive, send)
            return
        count = await self._counter.hit((scope["client"] or ("nobody",))[0])
        left = self._limit.amount - count.used
        # A count that began this instant ends a moment more than a window from now.
        resets_s = min(max(1, math.ceil(count.resets_s)), self._limit.get_expiry())
        told = {
            "RateLimit-Policy": f'"client";q={self._limit.amount};w={self._limit.get_expiry()}',
            "RateLimit": f'"client";r={max(0, left)};t={resets_s}',
        }

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        if left >= 0:
            await self._app(scope, receive, marked)
            return
        self._metrics.refused()
        refusal = problem(scope, TOO_MANY, headers={"retry-after": str(resets_s)})
        await refusal(scope, receive, marked)
