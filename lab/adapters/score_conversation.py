"""Scoring as it should not be: with a connection that it does not use, or with far too many reads.

Real life: a session per request, opened by a dependency and closed after the answer. The endpoint
reads a few rows and then waits for the LLM, with a database connection in hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from service.application.analyse_session import AnalyseSession
from service.application.ports.unit_of_work import BeginWork
from service.application.score_conversation import ScoredConversation, read_standing

PAST: Final = 400
"""Conversations of a user who has been here for a year."""


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


@dataclass(frozen=True, slots=True)
class ScoreInTwoSessions:
    """Opens a second session inside the first: a helper that was not given the caller's.

    While few ask at once it works. As soon as every connection belongs to somebody who wants
    another one, nobody ever gets it.
    """

    begin_work: BeginWork
    analyse: AnalyseSession

    async def __call__(self, conversation_id: str) -> ScoredConversation:
        """Return the score; errors as above."""
        async with self.begin_work() as work:
            standing = await read_standing(work, conversation_id)
            async with self.begin_work() as another:
                await another.conversations.read(conversation_id)
        session = standing.session
        return standing.scored(await self.analyse(session.user_id, session.transcript))


@dataclass(frozen=True, slots=True)
class ScoreRowByRow:
    """Reads the past of a user one conversation at a time: an N+1 that a join would be."""

    begin_work: BeginWork
    analyse: AnalyseSession

    async def __call__(self, conversation_id: str) -> ScoredConversation:
        """Return the score; errors as above."""
        async with self.begin_work() as work:
            standing = await read_standing(work, conversation_id)
            for _ in range(PAST):
                await work.conversations.read(conversation_id)
        session = standing.session
        return standing.scored(await self.analyse(session.user_id, session.transcript))
