"""Everything that stands between the network and a route, in its order.

Each answers through those before it, so that every answer has its trace id, its line in the log and
what a web page needs to read it; and what is refused costs no more than what stands before it.
"""

from __future__ import annotations

from typing import Final

from limits import parse
from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from service.application.settings import Settings
from service.infrastructure.api.body_limit import BodyLimit
from service.infrastructure.api.deadline import Deadline
from service.infrastructure.api.mistakes import Mistakes
from service.infrastructure.api.rate_limit import RateLimit
from service.infrastructure.api.request_log import RequestLog
from service.infrastructure.api.trace_id import HEADER, TraceId
from service.infrastructure.redis.metrics import RateMetrics
from service.infrastructure.redis.rate_counter import RateCounter

READABLE: Final = (HEADER, "Retry-After", "RateLimit", "RateLimit-Policy")
"""Header fields that a web page may read, beside those that it always may."""


class Edge:
    """The middleware of one process, with what it must give back at the end."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        limit, metrics = parse(settings.rate_limit), RateMetrics(registry)
        self._counter = RateCounter(limit, settings, metrics)
        self.middleware = [
            Middleware(TraceId),
            Middleware(RequestLog),
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=("GET", "POST"),
                allow_headers=("Content-Type", "traceparent"),
                expose_headers=READABLE,
            ),
            Middleware(RateLimit, limit=limit, counter=self._counter, metrics=metrics),
            Middleware(Deadline, limit_s=settings.limits.application_s),
            Middleware(Mistakes),
            Middleware(BodyLimit, limit_bytes=settings.body_limit_bytes),
        ]

    async def aclose(self) -> None:
        """Give back connections; called once, at shutdown."""
        await self._counter.aclose()
