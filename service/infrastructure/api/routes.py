"""The routes of version 1; each calls one use case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Response

from service.application.check_health import CheckHealth
from service.application.end_conversation import EndConversation
from service.application.read_status import ReadStatus
from service.application.score_conversation import ScoreConversation
from service.application.suggest_activities import SuggestActivities
from service.application.update_score import UpdateScore
from service.infrastructure.api.documented import problems
from service.infrastructure.api.health_out import HealthOut
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
from service.infrastructure.api.whose import tell_whose

SCORE: Final = "/friendship_status/calculate-score"


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the routes call."""

    end_conversation: EndConversation
    suggest_activities: SuggestActivities
    score_conversation: ScoreConversation
    update_score: UpdateScore
    read_status: ReadStatus
    check_health: CheckHealth


def build_router(use_cases: UseCases) -> APIRouter:
    """Return the routes, wired to these use cases."""
    router = APIRouter(prefix="/v1")
    _add_conversations(router, use_cases)
    _add_friendship(router, use_cases)
    _add_health(router, use_cases.check_health)
    return router


def _add_conversations(router: APIRouter, use_cases: UseCases) -> None:
    @router.post(
        "/conversations/end",
        status_code=201,
        tags=["conversations"],
        summary="Store a finished conversation",
        response_description="Stored now.",
        responses={
            200: {"model": EventOut, "description": "Stored before: safe to retry."},
            **problems(413, 422, 429, 503),
        },
    )
    async def end_conversation(body: ConversationIn, response: Response) -> EventOut:
        """Store it once, however often it is sent.

        Another conversation under the same id is stored under that id with a time stamp.
        """
        tell_whose(body.user_id)
        ended = await use_cases.end_conversation(body.entity())
        response.status_code = 201 if ended.created else 200
        return EventOut.of(ended)

    @router.post(
        "/activities/suggest",
        tags=["activities"],
        summary="Suggest the next activity",
        responses=problems(413, 422, 429, 503),
    )
    async def suggest_activities(body: SuggestIn) -> SuggestionOut:
        """Return candidates for the user's next activity; a user who is new becomes known."""
        tell_whose(body.user_id)
        return SuggestionOut.of(await use_cases.suggest_activities(body.user_id))


def _add_friendship(router: APIRouter, use_cases: UseCases) -> None:
    @router.post(
        SCORE + "/{conversation_id}",
        tags=["friendship"],
        summary="Score a conversation",
        responses=problems(404, 422, 429, 503),
    )
    async def calculate_score(conversation_id: StoredId) -> ScoreOut:
        """Score a conversation now, without storing the result."""
        return ScoreOut.of(await use_cases.score_conversation(conversation_id))

    @router.post(
        SCORE + "-and-update/{conversation_id}",
        tags=["friendship"],
        summary="Score a conversation and store the score",
        responses=problems(404, 422, 429, 503),
    )
    async def calculate_score_and_update(conversation_id: StoredId) -> ScoreOut:
        """Score a conversation and store what it brought; safe to retry, it counts once."""
        return ScoreOut.of(await use_cases.update_score(conversation_id))

    @router.get(
        "/friendship_status/{user_id}",
        tags=["friendship"],
        summary="Read where a user stands",
        responses=problems(404, 422, 429, 503),
    )
    async def read_status(user_id: Id) -> StatusOut:
        """Return score, level and topic metrics as of now."""
        tell_whose(user_id)
        return StatusOut.of(await use_cases.read_status(user_id))


def _add_health(router: APIRouter, check_health: CheckHealth) -> None:
    @router.get("/livez", tags=["health"], summary="Is the process alive?")
    async def livez() -> dict[str, str]:
        """Say that the process turns; touches nothing else."""
        return {"status": "ok"}

    @router.get(
        "/health",
        tags=["health"],
        summary="Can the service work?",
        response_description="It can, though perhaps without something optional.",
        responses={503: {"model": HealthOut, "description": "It can't, or nobody looks."}},
    )
    async def health(response: Response) -> HealthOut:
        """Say what the last look at every dependency found; asks none of them now."""
        told = HealthOut.of(await check_health())
        response.status_code = 503 if told.unable else 200
        return told
