"""Scoring that asks the LLM while the transaction is still open.

Real life: a session per request, opened by a dependency and closed after the answer. The endpoint
reads a few rows and then waits for the LLM, with a database connection that it does not use.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.application.analyse_session import AnalyseSession
from service.application.ports.unit_of_work import BeginWork
from service.application.score_conversation import ScoredConversation, read_standing


@dataclass(frozen=True, slots=True)
class ScoreWhileHolding:
    """`POST /v1/friendship_status/calculate-score/{conversation_id}`."""

    begin_work: BeginWork
    analyse: AnalyseSession

    async def __call__(self, conversation_id: str) -> ScoredConversation:
        """Return the score.

        Raises:
            ConversationUnknown: nothing is stored under this id.
            Unavailable: the store is, see its port.
        """
        async with self.begin_work() as work:
            standing = await read_standing(work, conversation_id)
            session = standing.session
            return standing.scored(await self.analyse(session.user_id, session.transcript))
