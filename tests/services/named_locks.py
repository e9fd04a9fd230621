"""A service that guards what it has by locks of its own, all named but one, each wrong in its way.

`uvicorn named_locks:app`; SLOW_URL is a server that takes requests and does not answer.
"""

import asyncio
import os
import threading
import time

import httpx
from fastapi import FastAPI

import why504

app = FastAPI()
model = why504.resource("model", asyncio.Lock())
gpu = why504.resource("gpu", asyncio.Semaphore(2))
orders = why504.resource("orders", threading.Lock())
stock = why504.resource("stock", threading.Lock())
prices = threading.Lock()
client = httpx.AsyncClient(timeout=None)
why504.instrument(app)


@app.get("/model")
async def ask_the_model() -> None:
    """Ask, one at a time, somebody who does not answer."""
    async with model:
        await client.get(os.environ["SLOW_URL"], follow_redirects=False)


@app.get("/gpu")
async def use_the_gpu() -> None:
    """Ask the same, two at a time."""
    async with gpu:
        await client.get(os.environ["SLOW_URL"])


@app.get("/order")
def order() -> None:
    """Take both locks, in one order."""
    with orders:
        time.sleep(0.5)
        with stock:
            pass


@app.get("/restock")
def restock() -> None:
    """Take both locks, in the other order."""
    with stock:
        time.sleep(0.5)
        with orders:
            pass


def refresh() -> None:
    """Keep the prices for ever."""
    with prices:
        time.sleep(3600)


@app.get("/price")
async def price() -> None:
    """Wait on the event loop for a thread."""
    threading.Thread(target=refresh, name="refresher", daemon=True).start()
    time.sleep(0.2)
    with prices:
        pass


@app.get("/ready")
async def ready() -> str:
    """Answer at once."""
    return "yes"
