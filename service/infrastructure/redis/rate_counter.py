"""Counts requests of each client, with the other instances through Redis, else alone.

`limits` in its asynchronous form; slowapi, the usual middleware for it, calls the blocking one on
the event loop, where a frozen Redis would stop every request. Alone we count in a dictionary:
the library's MemoryStorage walks through all clients at each request (2 ms where there are 10,000).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.exceptions import RedisError

from service.application.settings import Settings
from service.infrastructure.redis.client import bounded
from service.infrastructure.redis.metrics import RateMetrics

SHARE: Final = 0.05
"""Of `redis_s`: a request waits no longer than that for a count."""
CONNECTIONS: Final = 16
"""To Redis, of one process; further counts wait for one of them, within the same limit."""
ALONE_S: Final = 10.0
"""How long Redis is left alone once it did not answer; scaled by `time_scale`."""


@dataclass(frozen=True, slots=True)
class Count:
    """Requests of one client in its current window, this one included."""

    used: int
    resets_s: float
    """Seconds until the window ends, at most."""


class OwnCounts:
    """Counts of this process; the windows of all clients begin and end together."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._ends_s = 0.0
        self._used: Counter[str] = Counter()

    def hit(self, client: str) -> Count:
        """Count one request of this client and return its count."""
        now_s = time.monotonic()
        if now_s >= self._ends_s:
            self._used.clear()
            self._ends_s = now_s + self._window_s
        self._used[client] += 1
        return Count(self._used[client], self._ends_s - now_s)


class RateCounter:
    """Counts; never raises, and waits for Redis a few times in `ALONE_S` at most."""

    def __init__(self, limit: RateLimitItem, settings: Settings, metrics: RateMetrics) -> None:
        redis_s = settings.limits.redis_s
        self._limit = limit
        self._metrics = metrics
        self._limit_s = None if redis_s is None else redis_s * SHARE
        self._alone_s = ALONE_S * settings.time_scale
        self._alone_until_s = 0.0
        self._own = OwnCounts(limit.get_expiry())
        self._shared: RedisStorage | None = None
        self._pool: BlockingConnectionPool | None = None
        if settings.redis_url is not None:
            self._pool = _pool(settings.redis_url, self._limit_s)
            self._shared = RedisStorage(
                f"async+{settings.redis_url}",
                implementation="redispy",
                key_prefix="context-handling",
                connection_pool=self._pool,  # type: ignore[arg-type]
            )

    async def hit(self, client: str) -> Count:
        """Count one request of this client and return its count."""
        key = self._limit.key_for(client)
        if self._shared is not None and time.monotonic() >= self._alone_until_s:
            if self._alone_until_s:
                # One request finds out whether Redis is back; the others need not wait with it.
                self._leave_alone()
            try:
                async with asyncio.timeout(self._limit_s):
                    count = await self._count_shared(self._shared, key)
            except (RedisError, OSError, TimeoutError):
                self._metrics.failed()
                self._leave_alone()
            else:
                self._alone_until_s = 0.0
                return count
        self._metrics.counted(shared=False)
        return self._own.hit(client)

    async def aclose(self) -> None:
        """Give back connections; called once, at shutdown."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _count_shared(self, storage: RedisStorage, key: str) -> Count:
        window_s = self._limit.get_expiry()
        used = await storage.incr(key, window_s)
        self._metrics.counted(shared=True)
        if used <= self._limit.amount:
            return Count(used, window_s)
        return Count(used, await storage.get_expiry(key) - time.time())

    def _leave_alone(self) -> None:
        self._alone_until_s = time.monotonic() + self._alone_s


def _pool(redis_url: str, limit_s: float | None) -> BlockingConnectionPool:
    return BlockingConnectionPool.from_url(
        redis_url, max_connections=CONNECTIONS, timeout=limit_s, **bounded(limit_s)
    )
