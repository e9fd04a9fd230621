"""Finished conversations: what is stored, under which id, and what the worker is told.

A client repeats a call whose answer it never saw. So an event is known by what was sent, not
only by its id: the same id with the same body is the same event, however often it comes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, Self, TypeVar

Field = TypeVar("Field")

_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
"""JSON can write what PostgreSQL, and UTF-8, can't."""


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

    @classmethod
    def parse(cls, payload: Mapping[str, Any]) -> Self:
        """Return the event that a message tells; the inverse of `payload`.

        Raises:
            ValueError: it is no such message; says which field, never what it holds.
        """
        return cls(
            event_id=_field(payload, "event_id", int),
            conversation_id=_field(payload, "conversation_id", str),
            user_id=_field(payload, "user_id", str),
            ended_at=_time(payload, "ended_at"),
            transcript=tuple(_message(each) for each in _field(payload, "transcript", list)),
        )


def _field(payload: Mapping[str, Any], name: str, kind: type[Field]) -> Field:
    if not isinstance(payload, Mapping):
        raise ValueError(f"an object with {name!r} was expected, not {type(payload).__name__}")
    value = payload.get(name)
    # To isinstance a bool is an int.
    if type(value) is not kind:
        raise ValueError(f"{name!r} is not of type {kind.__name__}")
    if isinstance(value, str) and _UNSTORABLE.search(value):
        raise ValueError(f"{name!r} holds what is no text")
    return value


def _time(payload: Mapping[str, Any], name: str) -> datetime:
    try:
        at = datetime.fromisoformat(_field(payload, name, str))
    except ValueError:
        raise ValueError(f"{name!r} is no time in ISO 8601") from None
    if at.tzinfo is None:
        raise ValueError(f"{name!r} has no time zone")
    return at


def _message(payload: Mapping[str, Any]) -> Message:
    try:
        speaker = Speaker(_field(payload, "speaker", str))
    except ValueError:
        raise ValueError("a message has no known 'speaker'") from None
    return Message(speaker, _field(payload, "text", str))


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
