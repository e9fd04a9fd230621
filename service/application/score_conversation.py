"""Score one conversation now, without storing the result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.application.errors import ConversationUnknown
from service.application.ports.emotion_reader import EmotionReader
from service.application.ports.unit_of_work import BeginWork, UnitOfWork
from service.domain.conversation import Message, Speaker, transcript_of, turns_of
from service.domain.friendship import FriendshipStatus, Score, SessionReading, score_after


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation as it is scored: what was said, and where its user stands."""

    conversation_id: str
    status: FriendshipStatus
    transcript: tuple[Message, ...]

    def scored(self, reading: SessionReading) -> ScoredConversation:
        """Return the score that this reading of the session gives."""
        turns = turns_of(self.transcript, Speaker.USER)
        score = score_after(self.status.score, turns=turns, reading=reading)
        return ScoredConversation(self.conversation_id, self.status.user_id, reading, score)


@dataclass(frozen=True, slots=True)
class ScoredConversation:
    """A score and what it was made of."""

    conversation_id: str
    user_id: str
    reading: SessionReading
    score: Score


ScoreConversation = Callable[[str], Awaitable[ScoredConversation]]
"""Scores the conversation stored under an id."""


@dataclass(frozen=True, slots=True)
class ScoreWithoutHolding:
    """`POST /v1/friendship_status/calculate-score/{conversation_id}`."""

    begin_work: BeginWork
    reader: EmotionReader

    async def __call__(self, conversation_id: str) -> ScoredConversation:
        """Return the score; the LLM is asked after the connection went back to the pool.

        Raises:
            ConversationUnknown: nothing is stored under this id.
            Unavailable: the store is, see its port.
        """
        async with self.begin_work() as work:
            session = await read_session(work, conversation_id)
        return session.scored(await self.reader.read(session.transcript))


async def read_session(work: UnitOfWork, conversation_id: str) -> Session:
    """Return what is scored.

    Raises:
        ConversationUnknown: nothing is stored under this id.
    """
    stored = await work.conversations.read(conversation_id)
    if stored is None:
        raise ConversationUnknown
    user_id, log = stored
    status = await work.friendships.read(user_id) or FriendshipStatus(user_id)
    return Session(conversation_id, status, transcript_of(log))
