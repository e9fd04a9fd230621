"""A gallery: thumbnails made one at a time, mail sent in the background.

`uvicorn gallery:app`; RENDERER_URL makes thumbnails, MAIL_URL sends mail.
"""

import asyncio
import os
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from fastapi import BackgroundTasks, Depends, FastAPI

import why504

app = FastAPI()
rendering = asyncio.Lock()
exports = asyncio.Semaphore(2)
why504.instrument(app)


@app.get("/pictures")
async def pictures() -> list[str]:
    return ["sunrise"]


@app.get("/pictures/{name}/thumbnail")
async def thumbnail(name: str) -> bytes:
    async with rendering:
        reader, writer = await asyncio.open_connection(*renderer())
        writer.write(name.encode() + b"\n")
        with suppress(ConnectionError):
            return await reader.readline()
    return b""


def renderer() -> tuple[str, int]:
    parts = urlsplit(os.environ["RENDERER_URL"])
    return parts.hostname or "", parts.port or 80


def send_mail(name: str) -> None:
    with socket.create_connection(renderer()) as connection:
        connection.sendall(b"MAIL " + name.encode() + b"\r\n")
        connection.recv(100)


@app.post("/pictures/{name}/share")
def share(name: str, tasks: BackgroundTasks) -> str:
    tasks.add_task(send_mail, name)
    return "on its way"


@app.get("/pictures/{name}/export")
async def export(name: str) -> str:
    await exports.acquire()
    if name.startswith("draft"):
        return "not yet"
    exports.release()
    return "done"


def owner_of(name: str) -> str:
    return name.partition("-")[0]


@app.get("/pictures/{name}/owner")
def owner(owner: str = Depends(owner_of)) -> str:
    return owner
