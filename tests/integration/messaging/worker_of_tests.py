"""`python -m worker_of_tests`: the worker with a task that tests can watch and break.

What a conversation's id says is done: `ok…`, `slow…` (2 s), `poison…`, `later…` (unavailable until
the table `switch` has a row), `dies…` (kill -9 of itself, the first time).
Effects are rows of `effect`, in the transaction of the inbox, as in the real task.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.application.errors import Unavailable
from service.application.settings import Settings
from service.domain.conversation import ConversationEnded
from service.worker import run_worker

TABLES = """
CREATE TABLE attempt (message_id text, conversation_id text);
CREATE TABLE effect (message_id text, conversation_id text);
CREATE TABLE switch (on_ bool)"""


def watched(_: Settings, engine: AsyncEngine, *__: object):
    async def process(message_id: str, event: ConversationEnded) -> bool:
        name = event.conversation_id
        told = {"message_id": message_id, "name": name}
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO attempt VALUES (:message_id, :name)"), told)
            tries = await connection.scalar(
                text("SELECT count(*) FROM attempt WHERE message_id = :message_id"), told
            )
            switched = await connection.scalar(text("SELECT count(*) FROM switch"))
        if name.startswith("poison"):
            raise ZeroDivisionError(name)
        if name.startswith("later") and not switched:
            raise Unavailable(name)
        if name.startswith("slow"):
            await asyncio.sleep(2)
        return await take_effect(told, dies=name.startswith("dies") and tries == 1)

    async def take_effect(told: dict[str, str], *, dies: bool) -> bool:
        async with engine.begin() as connection:
            new = await connection.execute(
                text(
                    "INSERT INTO processed_message (message_id) VALUES (:message_id) "
                    "ON CONFLICT DO NOTHING"
                ),
                told,
            )
            if new.rowcount:
                await connection.execute(
                    text("INSERT INTO effect VALUES (:message_id, :name)"), told
                )
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return bool(new.rowcount)

    return process


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    asyncio.run(run_worker(Settings(), processing=watched))
