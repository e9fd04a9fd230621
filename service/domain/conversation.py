"""Finished conversations: what is stored, under which id, and what the worker is told.

A client repeats a call whose answer it never saw. So an event is known by what was sent, not
only by its id: the same id with the same body is the same event, however often it comes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any


class Speaker(StrEnum):
    """Who said something."""

    USER = "user"
    COMPANION = "companion"


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said; `text` is what was sent, unchanged."""

    speaker: Speaker
    text: str

    def plain(self) -> dict[str, str]:
        """Return it in JSON's types."""
        return {"speaker": self.speaker.value, "text": self.text}


@dataclass(frozen=True)
class Conversation:
    """A finished conversation as a client hands it over; `ended_at` is None if it did not say."""

    conversation_id: str
    user_id: str
    log: tuple[Message, ...]
    ended_at: datetime | None

    @cached_property
    def body_hash(self) -> str:
        """64 hex digits, equal for equal bodies and no others."""
        ended_at = self.ended_at.isoformat() if self.ended_at else None
        log = [message.plain() for message in self.log]
        body = json.dumps([self.user_id, log, ended_at], separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A conversation as it was stored; `conversation_id` is unique, `requested_id` is not."""

    event_id: int
    conversation_id: str
    requested_id: str
    user_id: str
    body_hash: str
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class ConversationEnded:
    """What the worker is told."""

    event_id: int
    conversation_id: str
    user_id: str
    ended_at: datetime
    transcript: tuple[Message, ...]

    def payload(self) -> dict[str, Any]:
        """Return the message in JSON's types."""
        return {
            "event_id": self.event_id,
            "conversation_id": self.conversation_id,
            "user_id": self.user_id,
            "ended_at": self.ended_at.isoformat(),
            "transcript": [message.plain() for message in self.transcript],
        }


def suffixed_id(conversation_id: str, now: datetime) -> str:
    """Return an id of its own for another body that came under a taken id."""
    return f"{conversation_id}~{now:%Y%m%dT%H%M%S.%fZ}"


def transcript_of(log: Iterable[Message]) -> tuple[Message, ...]:
    """Return the log as it is analysed: no empty messages, one entry a turn."""
    turns: list[tuple[Speaker, list[str]]] = []
    for message in log:
        text = " ".join(message.text.split())
        if not text:
            continue
        if turns and turns[-1][0] is message.speaker:
            turns[-1][1].append(text)
        else:
            turns.append((message.speaker, [text]))
    return tuple(Message(speaker, " ".join(texts)) for speaker, texts in turns)


def turns_of(transcript: Sequence[Message], speaker: Speaker) -> int:
    """Return how often `speaker` had the word."""
    return sum(message.speaker is speaker for message in transcript)
