"""What the service had stored before a run: `python -m lab.history DATABASE_URL`.

Conversations to score, and users known for long. A process of its own, because what it imports
takes seconds in which the rest of the lab starts.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime

from lab.load import STORED, USERS, conversation
from service.application.settings import Settings
from service.domain.conversation import Conversation, Message, Speaker
from service.infrastructure.db.engine import make_engine
from service.infrastructure.db.migrations import migrate
from service.infrastructure.db.unit_of_work import units_of_work


def write_history(database_url: str) -> None:
    """Bring a new database to the newest schema and store users and conversations in it."""
    migrate(database_url)
    asyncio.run(_store(Settings(database_url=database_url)))


async def _store(settings: Settings) -> None:
    engine = make_engine(settings)
    try:
        async with units_of_work(engine)() as work:
            for number in range(USERS):
                await work.friendships.lock(f"user-{number:05d}")
            for number in range(STORED):
                stored = _stored(number)
                assert stored.ended_at is not None  # noqa: S101 - see conversation()
                await work.conversations.add(
                    stored, stored_id=stored.conversation_id, ended_at=stored.ended_at
                )
            await work.commit()
    finally:
        await engine.dispose()


def _stored(number: int) -> Conversation:
    body = conversation(number)
    log = tuple(Message(Speaker(said["speaker"]), said["text"]) for said in body["log"])
    ended_at = datetime.fromisoformat(body["ended_at"])
    return Conversation(body["conversation_id"], body["user_id"], log, ended_at)


if __name__ == "__main__":
    write_history(sys.argv[1])
