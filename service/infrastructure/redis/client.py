"""A Redis client that gives up for good when it gives up."""

from __future__ import annotations

from typing import Any

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


def bounded(limit_s: float | None) -> dict[str, Any]:
    """Return the options of a client that waits `limit_s` for Redis and tries nothing twice."""
    return {
        "socket_timeout": limit_s,
        "socket_connect_timeout": limit_s,
        # redis-py's own default tries ten times more, with pauses.
        "retry": Retry(NoBackoff(), 0),
    }
