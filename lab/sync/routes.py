"""The routes of the reference service as `def` endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Response
from sqlalchemy import text

from lab.sync.publishing import Publish
from lab.sync.readers import Reader
from lab.sync.scoring import Score
from lab.sync.sessions import BeginWork
from lab.sync.suggest import suggest
from service.application.end_conversation import EndedConversation
from service.application.errors import StoreBusy, UserUnknown
from service.application.score_conversation import ScoredConversation
from service.domain.conversation import (
    Conversation,
    ConversationEnded,
    StoredEvent,
    suffixed_id,
    transcript_of,
)
from service.domain.friendship import LedgerEntry, score_after
from service.domain.topics import topic_of
from service.infrastructure.api.schemas import (
    ConversationIn,
    EventOut,
    Id,
    ScoreOut,
    StatusOut,
    StoredId,
    SuggestIn,
    SuggestionOut,
)

LOOKUPS: Final = 3
SCORE: Final = "/friendship_status/calculate-score"


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the routes call."""

    begin_work: BeginWork
    begin_check: BeginWork
    """Of a pool of its own: who asks for health must not stand in the queue of requests."""
    publish: Publish
    reader: Reader
    score: Score


def build_router(use: UseCases) -> APIRouter:
    """Return the routes, wired to these use cases."""
    router = APIRouter(prefix="/v1")
    _add_conversations(router, use)
    _add_friendship(router, use)
    _add_health(router, use)
    return router


def _add_conversations(router: APIRouter, use: UseCases) -> None:
    @router.post("/conversations/end", status_code=201)
    def end_conversation(body: ConversationIn, response: Response) -> EventOut:
        ended = _end(use, body.entity())
        response.status_code = 201 if ended.created else 200
        return EventOut.of(ended)

    @router.post("/activities/suggest")
    def suggest_activities(body: SuggestIn) -> SuggestionOut:
        with use.begin_work() as store:
            return SuggestionOut.of(suggest(store, body.user_id))


def _add_friendship(router: APIRouter, use: UseCases) -> None:
    @router.post(SCORE + "/{conversation_id}")
    def calculate_score(conversation_id: StoredId) -> ScoreOut:
        return ScoreOut.of(use.score(use.begin_work, use.reader, conversation_id))

    @router.post(SCORE + "-and-update/{conversation_id}")
    def calculate_score_and_update(conversation_id: StoredId) -> ScoreOut:
        return ScoreOut.of(_update(use, conversation_id))

    @router.get("/friendship_status/{user_id}")
    def read_status(user_id: Id) -> StatusOut:
        with use.begin_work() as store:
            status = store.status(user_id)
        if status is None:
            raise UserUnknown
        return StatusOut.of(status)


def _add_health(router: APIRouter, use: UseCases) -> None:
    @router.get("/livez")
    def livez() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/health")
    def health() -> dict[str, str]:
        with use.begin_check() as store:
            store.session.execute(text("SELECT 1"))
        return {"status": "ok"}


def _end(use: UseCases, conversation: Conversation) -> EndedConversation:
    body_hash, stored_id = conversation.body_hash, conversation.conversation_id
    ended_at = conversation.ended_at or datetime.now(UTC)
    with use.begin_work() as store:
        for _ in range(LOOKUPS):
            found = store.find(conversation.conversation_id, body_hash)
            if found is not None and found.body_hash == body_hash:
                return EndedConversation(found, created=False)
            if found is not None:
                stored_id = suffixed_id(conversation.conversation_id, datetime.now(UTC))
            added = store.add(conversation, stored_id=stored_id, ended_at=ended_at)
            if added is not None:
                use.publish(_told(added, conversation), store)
                store.commit()
                return EndedConversation(added, created=True)
    raise StoreBusy("the conversation's id is being taken by other requests")


def _told(event: StoredEvent, conversation: Conversation) -> ConversationEnded:
    return ConversationEnded(
        event_id=event.event_id,
        conversation_id=event.conversation_id,
        user_id=event.user_id,
        ended_at=event.ended_at,
        transcript=transcript_of(conversation.log),
    )


def _update(use: UseCases, conversation_id: str) -> ScoredConversation:
    with use.begin_work() as store:
        session = store.read(conversation_id)
    reading = use.reader.read(session.transcript)
    with use.begin_work() as store:
        status = store.lock(session.user_id)
        score = score_after(status.score, turns=session.turns, reading=reading)
        topic = topic_of(session.transcript)
        store.put(
            LedgerEntry(
                conversation_id, session.user_id, score.points, topic,
                reading.emotion, reading.questions, reading.fallback,
            )
        )  # fmt: skip
        store.change(session.user_id, score=score.score, level=score.level)
        store.commit()
    return ScoredConversation(conversation_id, session.user_id, reading, score)
