"""Score one conversation, and store what it brought and where that leaves its user."""

from __future__ import annotations

from dataclasses import dataclass

from service.application.analyse_session import AnalyseSession
from service.application.ports.memory import Memory
from service.application.ports.unit_of_work import BeginWork, UnitOfWork
from service.application.score_conversation import ScoredConversation, Session, read_session
from service.domain.friendship import (
    FriendshipStatus,
    LedgerEntry,
    Score,
    SessionReading,
    score_after,
)
from service.domain.ledger import settled
from service.domain.topics import topic_of


@dataclass(frozen=True, slots=True)
class WrittenScore:
    """What was stored, and whether it is the first real reading of its session."""

    scored: ScoredConversation
    first: bool


@dataclass(frozen=True, slots=True)
class UpdateScore:
    """`POST /v1/friendship_status/calculate-score-and-update`."""

    begin_work: BeginWork
    analyse: AnalyseSession
    memory: Memory

    async def __call__(self, conversation_id: str) -> ScoredConversation:
        """Return the score as it is stored; nothing is locked while the LLM is asked.

        Raises:
            ConversationUnknown: nothing is stored under this id.
            Unavailable: the store is, see its port.
        """
        async with self.begin_work() as work:
            session = await read_session(work, conversation_id)
        reading = await self.analyse(session.user_id, session.transcript)
        async with self.begin_work() as work:
            written = await write_score(work, session, reading)
            await work.commit()
        if written.first:
            await self.memory.remember(session.user_id, session.transcript)
        return written.scored


async def write_score(work: UnitOfWork, session: Session, reading: SessionReading) -> WrittenScore:
    """Write ledger entry and status, which stays locked until the caller commits.

    A fallback changes nothing that is known already. Where nothing is, it leaves an entry of 0
    points, by which the nightly job finds the session.
    """
    status = await work.friendships.lock(session.user_id)
    earlier = await work.ledger.find(session.conversation_id)
    if reading.fallback and earlier is not None:
        return _written(session, reading, Score(status.score, status.level, 0.0), first=False)
    score = await _replace(work, session, reading=reading, status=status)
    first = not reading.fallback and (earlier is None or earlier.fallback)
    return _written(session, reading, score, first=first)


async def _replace(
    work: UnitOfWork, session: Session, *, reading: SessionReading, status: FriendshipStatus
) -> Score:
    others = await work.ledger.totals(session.user_id, without=session.conversation_id)
    score = score_after(status.initial_score + others.points, turns=session.turns, reading=reading)
    entry = LedgerEntry(
        conversation_id=session.conversation_id,
        user_id=session.user_id,
        points=score.points,
        topic=topic_of(session.transcript),
        emotion=reading.emotion,
        questions=reading.questions,
        fallback=reading.fallback,
    )
    await work.ledger.put(entry)
    await work.friendships.save(settled(status, others.plus(entry)))
    return score


def _written(
    session: Session, reading: SessionReading, score: Score, *, first: bool
) -> WrittenScore:
    scored = ScoredConversation(session.conversation_id, session.user_id, reading, score)
    return WrittenScore(scored, first)
