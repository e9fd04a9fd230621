"""A service that hangs in each way that a route of it names: `app.py PORT LOOP`."""

import asyncio
import ctypes
import sys
import threading
import time

import pika
import psycopg
import sqlalchemy
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

FOREVER_S = 600
DIALECT_POOL = sqlalchemy.create_engine(
    "sqlite://", poolclass=sqlalchemy.QueuePool, pool_size=1, max_overflow=0, pool_timeout=FOREVER_S
)
LOCK = asyncio.Lock()
LEAKED = []


def told(what):
    print(what, flush=True)


async def fine(request):
    return PlainTextResponse("fine")


async def sleeps(request):
    told("inside")
    time.sleep(FOREVER_S)  # line: sleeps


async def asks_database(request):
    told("inside")
    psycopg.connect(host="127.0.0.1", port=request.query_params["port"], user="x")  # line: database


async def publishes(request):
    told("inside")
    parameters = pika.ConnectionParameters(
        "127.0.0.1", int(request.query_params["port"]), stack_timeout=FOREVER_S
    )
    pika.BlockingConnection(parameters)  # line: broker


async def computes(request):
    told("inside")
    total = 0
    while True:
        total += score(total)  # line: computes


def score(number):
    return sum(range(number % 1000))


def works(request):
    told("inside")
    time.sleep(FOREVER_S)  # line: works


def takes_connection(request):
    told("inside")
    LEAKED.append(DIALECT_POOL.connect())  # line: pool
    return PlainTextResponse("leaked")


async def awaits(request):
    told("inside")
    async with LOCK:
        await asyncio.sleep(FOREVER_S)


async def keeps_gil(request):
    told("inside")
    ctypes.PyDLL(None).sleep(FOREVER_S)  # line: gil


ROUTES = (
    fine, sleeps, asks_database, publishes, computes, works, takes_connection, awaits, keeps_gil,
)  # fmt: skip

if __name__ == "__main__":
    # What real services have too: a thread of their own that now and then does something.
    threading.Thread(target=time.sleep, args=(FOREVER_S,), daemon=True, name="heartbeat").start()
    app = Starlette(routes=[Route(f"/{route.__name__}", route) for route in ROUTES])
    uvicorn.run(app, port=int(sys.argv[1]), loop=sys.argv[2], log_level="warning")
