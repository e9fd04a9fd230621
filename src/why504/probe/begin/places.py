"""Where a program shows what it is: a table of the functions that are hooked."""

from __future__ import annotations

from typing import Final, NamedTuple


class Place(NamedTuple):
    """A function of a library, by its module and its name in it."""

    module: str
    function: str


SERVES: Final = (
    Place("uvicorn.config", "Config.__init__"),
    Place("hypercorn.config", "Config.__init__"),
    Place("gunicorn.app.base", "BaseApplication.__init__"),
)
"""Called by a process that serves, or has others serve: it is no worker."""

LOADS: Final = (
    (Place("uvicorn.config", "Config.load"), "loaded_app"),
    (Place("gunicorn.workers.gasgi", "ASGIWorker.load_wsgi"), "asgi"),
)
"""Leave the application in this attribute of their object."""

WRAPS: Final = (Place("hypercorn.utils", "wrap_app"),)
"""Take the application first."""

CALLS: Final = (
    Place("starlette.applications", "Starlette.__call__"),
    Place("fastapi.applications", "FastAPI.__call__"),
)
"""The application itself, under a server that is not in this table."""

WORKS: Final = (
    Place("pika.adapters.blocking_connection", "BlockingConnection.__init__"),
    Place("pika.connection", "Connection.__init__"),
    Place("aiormq.connection", "Connection.__init__"),
    Place("kombu.connection", "Connection.__init__"),
    Place("sqlalchemy.engine.base", "Engine.raw_connection"),
    Place("psycopg_pool.base", "BasePool.__init__"),
    Place("psycopg.connection", "Connection.connect"),
    Place("asyncpg.connection", "connect"),
    Place("redis.connection", "ConnectionPool.__init__"),
    Place("redis.asyncio.connection", "ConnectionPool.__init__"),
    Place("httpx._client", "Client.send"),
    Place("httpx._client", "AsyncClient.send"),
    Place("requests.sessions", "Session.send"),
)
"""What a program without HTTP does first; by then its loop runs, if it has one."""
