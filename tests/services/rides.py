"""Rides: an asyncpg pool, and prices from another service.

`uvicorn rides:app`; DATABASE_URL is a PostgreSQL, PRICES_URL tells what a ride costs.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
from fastapi import FastAPI, Request

import why504


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with (
        asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=4) as pool,
        httpx.AsyncClient(base_url=os.environ["PRICES_URL"], timeout=None) as prices,
    ):
        app.state.pool, app.state.prices = pool, prices
        yield


app = FastAPI(lifespan=lifespan)
why504.instrument(app)


@app.get("/rides")
async def count_rides(request: Request) -> int:
    async with request.app.state.pool.acquire() as connection:
        return await connection.fetchval("SELECT count(*) FROM generate_series(1, 100)")


@app.post("/rides/{ride_id}/price")
async def price_ride(ride_id: int, request: Request) -> dict[str, Any]:
    async with request.app.state.pool.acquire() as connection:
        km = await connection.fetchval("SELECT 7 * $1::int", ride_id)
        quote = await request.app.state.prices.get("/quote", params={"km": km})
        return {"ride": ride_id, "price": quote.json()["price"]}
