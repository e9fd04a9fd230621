"""Statements of one session: conversations, statuses, scores and the outbox."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Executable, Row, Select, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.application.errors import ConversationUnknown
from service.application.score_conversation import Session as Scored
from service.application.score_conversation import Standing
from service.domain.conversation import (
    Conversation,
    ConversationEnded,
    Message,
    Speaker,
    StoredEvent,
    transcript_of,
)
from service.domain.friendship import FriendshipStatus, LedgerEntry
from service.infrastructure.db.tables import conversation_event as events
from service.infrastructure.db.tables import conversation_score as scores
from service.infrastructure.db.tables import friendship_status as statuses
from service.infrastructure.db.tables import outbox

_EVENT: Final = (
    events.c.id,
    events.c.conversation_id,
    events.c.requested_id,
    events.c.user_id,
    events.c.body_hash,
    events.c.ended_at,
)
_STATUS: Final[Select[Any]] = select(
    statuses.c.user_id,
    statuses.c.score,
    statuses.c.topic_metrics,
    statuses.c.suggestions,
    statuses.c.initial_score,
    statuses.c.initial_topic_metrics,
)
_ENTRY: Final[Select[Any]] = select(
    scores.c.conversation_id,
    scores.c.user_id,
    scores.c.points,
    scores.c.topic,
    scores.c.emotion,
    scores.c.questions,
    scores.c.fallback,
)


class Store:
    """What the endpoints ask of the database, in one session and hence one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def commit(self) -> None:
        """Store everything written so far; the connection goes back to the pool."""
        self.session.commit()

    def find(self, requested_id: str, body_hash: str) -> StoredEvent | None:
        """Return the event under this id: the one with this body if any, else the first."""
        named = or_(events.c.requested_id == requested_id, events.c.conversation_id == requested_id)
        same_body_first = (events.c.body_hash == body_hash).desc()
        query = select(*_EVENT).where(named).order_by(same_body_first, events.c.id).limit(1)
        row = self.session.execute(query).one_or_none()
        return None if row is None else StoredEvent(*row)

    def add(
        self, conversation: Conversation, *, stored_id: str, ended_at: datetime
    ) -> StoredEvent | None:
        """Store it, or return None if another request took the id meanwhile."""
        values = {
            "conversation_id": stored_id,
            "requested_id": conversation.conversation_id,
            "user_id": conversation.user_id,
            "log": [message.plain() for message in conversation.log],
            "body_hash": conversation.body_hash,
            "ended_at": ended_at,
            "created_at": func.now(),
        }
        statement = insert(events).values(values).on_conflict_do_nothing().returning(*_EVENT)
        row = self.session.execute(statement).one_or_none()
        return None if row is None else StoredEvent(*row)

    def tell(self, event: ConversationEnded) -> None:
        """Keep a message for the worker; it exists exactly if the transaction commits."""
        values = {"topic": "conversation.ended", "payload": event.payload()}
        self.session.execute(insert(outbox).values(**values, created_at=func.now()))

    def read(self, conversation_id: str) -> Scored:
        """Return what is scored.

        Raises:
            ConversationUnknown: nothing is stored under this id.
        """
        query = select(events.c.user_id, events.c.log)
        row = self._first(query.where(events.c.conversation_id == conversation_id))
        if row is None:
            raise ConversationUnknown
        log = [Message(Speaker(entry["speaker"]), entry["text"]) for entry in row.log]
        return Scored(conversation_id, row.user_id, transcript_of(log))

    def standing(self, conversation_id: str) -> Standing:
        """Return what is scored, and what its score adds to; errors as above."""
        scored = self.read(conversation_id)
        entry = self._first(_ENTRY.where(scores.c.conversation_id == conversation_id))
        status = self.status(scored.user_id) or FriendshipStatus(scored.user_id)
        return Standing(scored, status, None if entry is None else LedgerEntry(*entry))

    def status(self, user_id: str) -> FriendshipStatus | None:
        """Return the status as of now without locking it, or None for a new user."""
        row = self._first(_STATUS.where(statuses.c.user_id == user_id))
        return None if row is None else FriendshipStatus(*row)

    def lock(self, user_id: str) -> FriendshipStatus:
        """Return the status, made if the user is new, locked until the transaction ends."""
        locked = _STATUS.where(statuses.c.user_id == user_id).with_for_update()
        row = self._first(locked)
        if row is None:
            new = {"user_id": user_id, "score": 0.0, "level": 1, "suggestions": 0}
            made = insert(statuses).values(**new, topic_metrics={}, updated_at=func.now())
            self.session.execute(made.on_conflict_do_nothing())
            row = self._first(locked)
        return FriendshipStatus(user_id) if row is None else FriendshipStatus(*row)

    def change(self, user_id: str, **values: Any) -> None:
        """Write columns of a status that this transaction has locked."""
        changed = update(statuses).where(statuses.c.user_id == user_id)
        self.session.execute(changed.values(**values, updated_at=func.now()))

    def put(self, entry: LedgerEntry) -> None:
        """Store what a conversation brought, in place of what it brought before."""
        values = {
            "user_id": entry.user_id,
            "points": entry.points,
            "topic": entry.topic,
            "emotion": entry.emotion,
            "questions": entry.questions,
            "fallback": entry.fallback,
            "scored_at": func.now(),
        }
        statement = insert(scores).values(conversation_id=entry.conversation_id, **values)
        key = [scores.c.conversation_id]
        self.session.execute(statement.on_conflict_do_update(index_elements=key, set_=values))

    def _first(self, query: Executable) -> Row[Any] | None:
        return self.session.execute(query).one_or_none()
