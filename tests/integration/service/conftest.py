"""The service on a real PostgreSQL, called through ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from service.application.settings import Settings
from service.infrastructure.db.migrations import migrate
from service.main import Adapters, create_app

if TYPE_CHECKING:
    from lab.stack.postgres import Postgres

Running = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
Rows = Callable[..., list[dict[str, Any]]]

FILLED = (
    "conversation_event",
    "conversation_score",
    "friendship_status",
    "nightly_run",
    "outbox",
    "processed_message",
)
"""Tables that tests write to; prompts are the seed."""


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> str:
    """The URL of a database with the newest schema."""
    url = postgres.new_database()
    migrate(url)
    return url


@pytest.fixture
def database_url(migrated: str) -> Iterator[str]:
    """The URL of a database that holds nothing but the seed."""
    yield migrated
    with psycopg.connect(migrated, options="-c lock_timeout=5000") as connection:
        for table in FILLED:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))


@pytest.fixture
def rows(database_url: str) -> Rows:
    """Run a statement beside the service and return its rows."""

    def run(statement: str, *values: object) -> list[dict[str, Any]]:
        with psycopg.connect(database_url, row_factory=dict_row) as connection:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def running(database_url: str) -> Running:
    """Start the service: `async with running(pool_size=2, adapters=…) as client:`."""

    @asynccontextmanager
    async def run(
        adapters: Adapters | None = None, **settings: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        # Nobody listens on port 9, so that an LLM call fails at once unless a test has one.
        unset = {"groq_base_url": "http://127.0.0.1:9", "llm_attempts": 1, "instrument": False}
        app = create_app(
            Settings(database_url=database_url, **{**unset, **settings}), adapters=adapters
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://service", timeout=30) as client,
        ):
            yield client

    return run


@pytest.fixture
async def client(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    """The service as it should be."""
    async with running() as client:
        yield client
