"""Bodies as they travel; what the database could not store is refused here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, FailFast, Field, StringConstraints

from service.application.end_conversation import EndedConversation
from service.application.score_conversation import ScoredConversation
from service.domain.activities import PromptTemplate, Suggestion
from service.domain.conversation import Conversation, Message, Speaker
from service.domain.friendship import FriendshipStatus


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character can't be stored")
    return text


LONGEST_LOG: Final = 10_000
"""Messages; how long they may be together is the limit of the body."""
LONGEST_TEXT: Final = 100_000
"""Characters of one message."""

_Id = StringConstraints(min_length=1, max_length=200, pattern=r"^[\w.:@~+-]+$")
_StoredId = StringConstraints(min_length=1, max_length=240, pattern=r"^[\w.:@~+-]+$")
Id = Annotated[str, _Id, Field(examples=["u-4711"])]
StoredId = Annotated[str, _StoredId, Field(examples=["c-2026-04-01-4711"])]
Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT), AfterValidator(_storable)]
# Outside these years PostgreSQL's timestamps and Python's don't agree.
EndedAt = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC)),
]


class MessageIn(BaseModel):
    """One thing said."""

    speaker: Speaker
    text: Text


# Only the first wrong message is told: ten thousand of them would hold the loop for 0.2 s.
Log = Annotated[list[MessageIn], Field(max_length=LONGEST_LOG), FailFast()]


class ConversationIn(BaseModel):
    """A finished conversation."""

    conversation_id: Id
    user_id: Id
    log: Log
    ended_at: EndedAt | None = None

    def entity(self) -> Conversation:
        """Return it as the domain sees it."""
        log = tuple(Message(message.speaker, message.text) for message in self.log)
        return Conversation(self.conversation_id, self.user_id, log, self.ended_at)


class EventOut(BaseModel):
    """A conversation as it was stored."""

    event_id: int
    conversation_id: str
    requested_id: str
    user_id: str
    ended_at: datetime

    @classmethod
    def of(cls, ended: EndedConversation) -> Self:
        """Return what a client is told of an event."""
        event = ended.event
        return cls(
            event_id=event.event_id,
            conversation_id=event.conversation_id,
            requested_id=event.requested_id,
            user_id=event.user_id,
            ended_at=event.ended_at.astimezone(UTC),
        )


class SuggestIn(BaseModel):
    """Whose next activity it is."""

    user_id: Id


class AgentOut(BaseModel):
    """One candidate."""

    id: int
    name: str
    tag: str
    topic: str | None
    prompt: str
    guide: str | None


class SuggestionOut(BaseModel):
    """Candidates for the next activity, best first."""

    user_id: str
    level: int
    score: float
    persona: str | None
    agents: list[AgentOut]
    default: AgentOut | None
    review: AgentOut | None
    wrap_up: AgentOut | None
    backups: list[AgentOut]

    @classmethod
    def of(cls, suggestion: Suggestion) -> Self:
        """Return what a client is told of a suggestion."""

        def agent(template: PromptTemplate) -> AgentOut:
            return AgentOut(
                id=template.template_id,
                name=template.name,
                tag=template.tag,
                topic=template.topic,
                prompt=template.body,
                guide=suggestion.guides.get(template.tag),
            )

        def one(template: PromptTemplate | None) -> AgentOut | None:
            return None if template is None else agent(template)

        return cls(
            user_id=suggestion.status.user_id,
            level=suggestion.status.level,
            score=suggestion.status.score,
            persona=suggestion.persona.body if suggestion.persona else None,
            agents=[agent(each) for each in suggestion.agents],
            default=one(suggestion.default),
            review=one(suggestion.review),
            wrap_up=one(suggestion.wrap_up),
            backups=[agent(each) for each in suggestion.backups],
        )


class ScoreOut(BaseModel):
    """The score that a conversation gives its user."""

    conversation_id: str
    user_id: str
    score: float
    level: int
    points: float
    emotion: str
    questions: int
    fallback: bool

    @classmethod
    def of(cls, scored: ScoredConversation) -> Self:
        """Return what a client is told of a score."""
        return cls(
            conversation_id=scored.conversation_id,
            user_id=scored.user_id,
            score=scored.score.score,
            level=scored.score.level,
            points=scored.score.points,
            emotion=scored.reading.emotion,
            questions=scored.reading.questions,
            fallback=scored.reading.fallback,
        )


class StatusOut(BaseModel):
    """Where a user stands; `topic_metrics` counts conversations by topic."""

    user_id: str
    score: float
    level: int
    topic_metrics: dict[str, int] = Field(examples=[{"cooking": 3, "weather": 1}])

    @classmethod
    def of(cls, status: FriendshipStatus) -> Self:
        """Return what a client is told of a status."""
        return cls(
            user_id=status.user_id,
            score=status.score,
            level=status.level,
            topic_metrics=dict(status.topic_metrics),
        )
