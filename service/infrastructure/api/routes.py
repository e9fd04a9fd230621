"""The routes of version 1; each calls one use case."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Response

from service.application.check_health import CheckHealth
from service.application.end_conversation import EndConversation
from service.application.score_conversation import ScoreConversation
from service.application.suggest_activities import SuggestActivities
from service.infrastructure.api.schemas import (
    ConversationIn,
    EventOut,
    ScoreOut,
    StoredId,
    SuggestIn,
    SuggestionOut,
)


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the routes call."""

    end_conversation: EndConversation
    suggest_activities: SuggestActivities
    score_conversation: ScoreConversation
    check_health: CheckHealth


def build_router(use_cases: UseCases) -> APIRouter:
    """Return the routes, wired to these use cases."""
    router = APIRouter(prefix="/v1")

    @router.post("/conversations/end", status_code=201)
    async def end_conversation(body: ConversationIn, response: Response) -> EventOut:
        """Store a finished conversation: 201 the first time, 200 whenever it is sent again."""
        ended = await use_cases.end_conversation(body.entity())
        response.status_code = 201 if ended.created else 200
        return EventOut.of(ended)

    @router.post("/activities/suggest")
    async def suggest_activities(body: SuggestIn) -> SuggestionOut:
        """Return candidates for the user's next activity."""
        return SuggestionOut.of(await use_cases.suggest_activities(body.user_id))

    @router.post("/friendship_status/calculate-score/{conversation_id}")
    async def calculate_score(conversation_id: StoredId) -> ScoreOut:
        """Score a conversation now, without storing the result."""
        return ScoreOut.of(await use_cases.score_conversation(conversation_id))

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        """Say that the process turns; touches nothing else."""
        return {"status": "ok"}

    @router.get("/health")
    async def health(response: Response) -> dict[str, object]:
        """Say whether every dependency answers: 200, or 503 with what does not."""
        results = await use_cases.check_health()
        healthy = all(result.error is None for result in results)
        response.status_code = 200 if healthy else 503
        checks = {
            result.name: {
                "ok": result.error is None,
                "error": result.error,
                "duration_ms": round(result.duration_s * 1000, 1),
            }
            for result in results
        }
        return {"status": "ok" if healthy else "failing", "checks": checks}

    return router
