"""A service that queues for connections of many libraries, none of which it names for why504.

`uvicorn queues:app`; SLOW_URL is a server that takes requests and does not answer.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import asyncpg
import httpx
import psycopg_pool
import redis.asyncio
import requests
import sqlalchemy
from fastapi import FastAPI

import why504

SLOW_URL = os.environ["SLOW_URL"]
DATABASE_URL = os.environ["DATABASE_URL"]

engine = sqlalchemy.create_engine(
    DATABASE_URL.replace("postgresql://", "postgresql+psycopg://"), pool_size=2, max_overflow=0
)
threads_pool = psycopg_pool.ConnectionPool(
    DATABASE_URL, min_size=1, max_size=2, name="orders", open=False, timeout=60
)
slow = httpx.AsyncClient(timeout=None)
narrow = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=2))
cache_pool = redis.asyncio.BlockingConnectionPool(
    port=int(os.environ["REDIS_PORT"]), max_connections=2, timeout=60, socket_timeout=None
)
cache = redis.asyncio.Redis(connection_pool=cache_pool)
kept = []
pools = {}


@asynccontextmanager
async def started(_: FastAPI) -> AsyncIterator[None]:
    """Open what is opened by the loop."""
    pools["tasks"] = await asyncpg.create_pool(DATABASE_URL, min_size=1, max_size=2)
    threads_pool.open()
    yield


app = FastAPI(lifespan=started)
why504.instrument(app)


@app.get("/engine")
def with_an_engine() -> None:
    """Ask somebody slow, with a connection of SQLAlchemy's in hand."""
    with engine.connect():
        httpx.get(SLOW_URL, timeout=None)


@app.get("/asyncpg")
async def with_asyncpg() -> None:
    """Do the same with one of asyncpg's."""
    async with pools["tasks"].acquire():
        await slow.get(SLOW_URL)


@app.get("/psycopg")
def with_psycopg() -> None:
    """Do the same with one of psycopg's, by requests."""
    with threads_pool.connection():
        requests.get(SLOW_URL, timeout=None)


@app.get("/http")
async def with_few_connections() -> None:
    """Ask somebody slow by a client that has two connections."""
    await narrow.get(SLOW_URL)


@app.get("/redis")
async def wait_for_work() -> None:
    """Wait for work that nobody gives."""
    await cache.blpop(["work"], timeout=0)


@app.get("/redis-leak")
async def keep_a_connection() -> None:
    """Take a connection and forget it."""
    kept.append(await cache_pool.get_connection())


@app.get("/broker")
async def publish() -> None:
    """Publish to a broker that does not answer."""
    url = SLOW_URL.replace("http://", "amqp://")
    async with await aio_pika.connect(url, timeout=None) as connection:
        await connection.channel()


@app.get("/ready")
async def ready() -> str:
    """Answer at once."""
    return "yes"
