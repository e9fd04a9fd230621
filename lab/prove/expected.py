"""What a conversation must bring, from its request, the stand-in's answers and the domain's rules.

Nothing here looks at what the service stored. Users start at `INITIAL_SCORE`: a score that never
meets 0 does not depend on the order in which conversations came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lab.standins.groq import answer_to
from service.domain.conversation import Message, Speaker
from service.domain.friendship import SessionReading, score_after
from service.domain.topics import topic_of

INITIAL_SCORE: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One entry of the ledger; the fields are columns of `conversation_score`."""

    user_id: str
    points: float
    topic: str
    emotion: str
    questions: int
    fallback: bool = False


def outcome(body: Mapping[str, Any]) -> Outcome:
    """Return what the conversation of this request must bring to its user.

    In the lab's conversations speakers take turns, so that each message is a turn.
    """
    said = [each["text"] for each in body["log"] if each["speaker"] == Speaker.USER]
    spoken = "\n".join(f"{Speaker.USER}: {text}" for text in said)
    emotion = answer_to(f"emotion\n{spoken}")
    questions = int(answer_to(f"questions\n{spoken}"))
    score = score_after(INITIAL_SCORE, turns=len(said), reading=SessionReading(emotion, questions))
    topic = topic_of([Message(Speaker.USER, text) for text in said])
    return Outcome(body["user_id"], score.points, topic, emotion, questions)
