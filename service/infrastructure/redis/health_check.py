"""Whether Redis answers, on a connection that is opened and closed by each check."""

from __future__ import annotations

from redis.asyncio import Redis

from service.infrastructure.redis.client import bounded


class RedisCheck:
    """`PING`."""

    name = "redis"

    def __init__(self, redis_url: str, *, limit_s: float | None) -> None:
        self._url = redis_url
        self._limit_s = limit_s

    async def check(self) -> None:
        """Return if Redis answers; raise anything if not."""
        async with Redis.from_url(self._url, **bounded(self._limit_s)) as redis:
            await redis.ping()
