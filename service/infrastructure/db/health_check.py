"""Whether PostgreSQL answers, on a connection that never queues behind the pool."""

from __future__ import annotations

from service.application.settings import Settings
from service.infrastructure.db.engine import connector


class PostgresCheck:
    """`SELECT 1` on a connection of its own, opened and closed by each check."""

    name = "postgresql"

    def __init__(self, settings: Settings) -> None:
        limits = settings.limits
        self._connect = connector(
            settings.database_url,
            application_name="context-handling-health",
            limits=limits,
            connect_s=limits.health_s,
        )

    async def check(self) -> None:
        """Return if PostgreSQL answers; raise anything if not."""
        connection = await self._connect()
        async with connection:
            await connection.execute("SELECT 1")
