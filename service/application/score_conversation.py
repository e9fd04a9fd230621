"""Score one conversation now, without storing the result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.application.analyse_session import AnalyseSession
from service.application.errors import ConversationUnknown
from service.application.ports.unit_of_work import BeginWork, UnitOfWork
from service.domain.conversation import Message, Speaker, transcript_of, turns_of
from service.domain.friendship import (
    FriendshipStatus,
    LedgerEntry,
    Score,
    SessionReading,
    score_after,
)


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation as it is analysed."""

    conversation_id: str
    user_id: str
    transcript: tuple[Message, ...]

    @property
    def turns(self) -> int:
        """How often the user had the word."""
        return turns_of(self.transcript, Speaker.USER)


@dataclass(frozen=True, slots=True)
class Standing:
    """A session, where its user stands, and what the session brought already, if anything."""

    session: Session
    status: FriendshipStatus
    entry: LedgerEntry | None

    def scored(self, reading: SessionReading) -> ScoredConversation:
        """Return the score that this reading gives, in place of what the session brought."""
        brought = 0.0 if self.entry is None or reading.fallback else self.entry.points
        score = score_after(self.status.score - brought, turns=self.session.turns, reading=reading)
        return ScoredConversation(
            self.session.conversation_id, self.session.user_id, reading, score
        )


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
    analyse: AnalyseSession

    async def __call__(self, conversation_id: str) -> ScoredConversation:
        """Return the score; the LLM is asked after the connection went back to the pool.

        Raises:
            ConversationUnknown: nothing is stored under this id.
            Unavailable: the store is, see its port.
        """
        async with self.begin_work() as work:
            standing = await read_standing(work, conversation_id)
        session = standing.session
        return standing.scored(await self.analyse(session.user_id, session.transcript))


async def read_session(work: UnitOfWork, conversation_id: str) -> Session:
    """Return what is analysed.

    Raises:
        ConversationUnknown: nothing is stored under this id.
    """
    stored = await work.conversations.read(conversation_id)
    if stored is None:
        raise ConversationUnknown
    user_id, log = stored
    return Session(conversation_id, user_id, transcript_of(log))


async def read_standing(work: UnitOfWork, conversation_id: str) -> Standing:
    """Return what is analysed, and what it adds to.

    Raises:
        ConversationUnknown: nothing is stored under this id.
    """
    session = await read_session(work, conversation_id)
    status = await work.friendships.read(session.user_id) or FriendshipStatus(session.user_id)
    return Standing(session, status, await work.ledger.find(conversation_id))
