"""What the model is asked about a session, and how its answers are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from service.domain.conversation import Message
from service.domain.friendship import EMOTION_POINTS, FALLBACK_EMOTION, FALLBACK_QUESTIONS

LONGEST_PROMPT: Final = 24_000
"""Characters of the end of a session that the model is shown; its window is finite."""
LONGEST_MEMORIES: Final = 2_000
"""Characters of what is remembered of the user, the same way."""

Answer = TypeVar("Answer", str, int)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent: what to do, and the session that it is about."""

    instruction: str
    spoken: str


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """One thing asked of the model, how it answers, and what is assumed without an answer."""

    name: str
    instruction: str
    answer: re.Pattern[str]
    read: Callable[[str], Answer]
    fallback: Answer

    def answered(self, words: str) -> Answer | None:
        """Return what the model said, or None if it did not say what was asked."""
        match = self.answer.search(words.lower())
        return None if match is None else self.read(match[1])


EMOTION: Final = Question(
    "emotion",
    f"Name the user's emotion in this session. One word of: {', '.join(EMOTION_POINTS)}.",
    re.compile(rf"\b({'|'.join(EMOTION_POINTS)})\b"),
    str,
    FALLBACK_EMOTION,
)
QUESTIONS: Final = Question(
    "questions",
    "Count the questions that the user asks in this session. Answer with one number.",
    re.compile(r"\b(\d{1,4})\b"),
    int,
    FALLBACK_QUESTIONS,
)


def spoken_of(transcript: Sequence[Message], memories: Sequence[str] = ()) -> str:
    """Return a session as the model reads it: what is known of the user, then who said what."""
    spoken = "\n".join(f"{message.speaker}: {message.text}" for message in transcript)
    known = "\n".join(f"known: {memory}" for memory in memories)[:LONGEST_MEMORIES]
    return f"{known}\n{spoken[-LONGEST_PROMPT:]}" if known else spoken[-LONGEST_PROMPT:]
