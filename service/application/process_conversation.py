"""Take a finished conversation from a queue that may deliver it twice, with effect once."""

from __future__ import annotations

from dataclasses import dataclass

from service.application.analyse_session import AnalyseSession
from service.application.ports.memory import Memory
from service.application.ports.unit_of_work import BeginWork
from service.application.score_conversation import Session
from service.application.update_score import write_score
from service.domain.conversation import ConversationEnded


@dataclass(frozen=True, slots=True)
class ProcessConversation:
    """What the worker does with one message."""

    begin_work: BeginWork
    analyse: AnalyseSession
    memory: Memory

    async def __call__(self, message_id: str, event: ConversationEnded) -> bool:
        """Score the conversation; False if the message had taken effect already.

        Raises:
            Unavailable: the store is, see its port; deliver the message again later.
        """
        session = Session(event.conversation_id, event.user_id, event.transcript)
        async with self.begin_work() as work:
            # The LLM need not be paid twice; that the effect comes once is decided below.
            if await work.inbox.knows(message_id):
                return False
        reading = await self.analyse(session.user_id, session.transcript)
        async with self.begin_work() as work:
            if not await work.inbox.add(message_id):
                return False
            written = await write_score(work, session, reading)
            await work.commit()
        if written.first:
            await self.memory.remember(session.user_id, session.transcript)
        return True
