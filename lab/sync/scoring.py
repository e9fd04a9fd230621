"""Ways to score a conversation: the good one, and those that hold or ask for too much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lab.sync.readers import Reader
from lab.sync.sessions import BeginWork
from service.application.score_conversation import ScoredConversation

PAST: Final = 400
"""Conversations of a user who has been here for a year."""

Score = Callable[[BeginWork, Reader, str], ScoredConversation]
"""Scores the conversation of an id; raises ConversationUnknown where there is none."""


def score_without_holding(
    begin_work: BeginWork, reader: Reader, conversation_id: str
) -> ScoredConversation:
    """Ask the LLM after the connection went back to the pool."""
    with begin_work() as store:
        standing = store.standing(conversation_id)
    return standing.scored(reader.read(standing.session.transcript))


def score_while_holding(
    begin_work: BeginWork, reader: Reader, conversation_id: str
) -> ScoredConversation:
    """Ask the LLM with a connection in hand: a session per request, as every tutorial has it."""
    with begin_work() as store:
        standing = store.standing(conversation_id)
        return standing.scored(reader.read(standing.session.transcript))


def score_in_two_sessions(
    begin_work: BeginWork, reader: Reader, conversation_id: str
) -> ScoredConversation:
    """Open a second session inside the first: a function that was not given the caller's."""
    with begin_work() as store:
        standing = store.standing(conversation_id)
        with begin_work() as another:
            another.read(conversation_id)
    return standing.scored(reader.read(standing.session.transcript))


def score_row_by_row(
    begin_work: BeginWork, reader: Reader, conversation_id: str
) -> ScoredConversation:
    """Read the past of a user one conversation at a time: an N+1 that a join would be."""
    with begin_work() as store:
        standing = store.standing(conversation_id)
        for _ in range(PAST):
            store.read(conversation_id)
    return standing.scored(reader.read(standing.session.transcript))
