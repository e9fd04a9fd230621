"""Groq reads a session: two calls at once, each bounded, each with a fallback.

Span names and attributes: OpenTelemetry's GenAI conventions. Prompts and answers never go on a
span: they are people's private talk.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import groq
from opentelemetry import metrics, trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from pydantic import ValidationError

from service.application.settings import Settings
from service.domain.conversation import Message
from service.domain.friendship import (
    EMOTION_POINTS,
    FALLBACK_EMOTION,
    FALLBACK_QUESTIONS,
    SessionReading,
)
from service.infrastructure.llm.completion import Completion

LONGEST_PROMPT: Final = 24_000
"""Characters of the end of a session that the model is shown; its window is finite."""

UNREADABLE: Final = "unreadable_answer"
"""`error.type` of an answer that is no completion, or does not say what was asked."""

Answer = TypeVar("Answer", str, int)


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
    """One thing asked of the model, how it answers, and what is assumed without an answer."""

    name: str
    instruction: str
    answer: re.Pattern[str]
    read: Callable[[str], Answer]
    fallback: Answer


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


class GroqEmotionReader:
    """Asks a model on Groq, through the asynchronous client of the official SDK."""

    def __init__(self, settings: Settings) -> None:
        self._model = settings.groq_model
        self._limit_s = settings.limits.llm_s
        self._client = groq.AsyncGroq(
            api_key=settings.groq_api_key.get_secret_value(),
            base_url=settings.groq_base_url,
            timeout=self._limit_s,
            max_retries=0,
        )
        self._tracer = trace.get_tracer("service.llm")
        self._fallbacks = metrics.get_meter("service.llm").create_counter(
            "service.llm.fallbacks", unit="{call}", description="Calls answered by the fallback."
        )
        for question in (EMOTION, QUESTIONS):
            self._fallbacks.add(0, {"call": question.name})

    async def read(self, transcript: Sequence[Message]) -> SessionReading:
        """Return the reading; where the LLM does not answer, its fallback, never an error."""
        spoken = "\n".join(f"{message.speaker}: {message.text}" for message in transcript)
        emotion, questions = await asyncio.gather(
            self._ask(EMOTION, spoken), self._ask(QUESTIONS, spoken)
        )
        fallback = emotion is None or questions is None
        return SessionReading(
            EMOTION.fallback if emotion is None else emotion,
            QUESTIONS.fallback if questions is None else questions,
            fallback,
        )

    async def aclose(self) -> None:
        """Give back connections; called once, at shutdown."""
        await self._client.close()

    async def _ask(self, question: Question[Answer], spoken: str) -> Answer | None:
        """Return the model's answer, or None if there is none that can be read."""
        with self._tracer.start_as_current_span(
            f"chat {self._model}", kind=SpanKind.CLIENT, attributes=self._attributes()
        ) as span:
            try:
                # The SDK's limit is one for each read from the socket; this one is for the call.
                async with asyncio.timeout(self._limit_s):
                    completion = await self._complete(question, spoken)
            except (groq.GroqError, TimeoutError) as error:
                self._mark_fallback(span, question.name, type(error).__name__)
                return None
            except ValidationError:
                self._mark_fallback(span, question.name, UNREADABLE)
                return None
            span.set_attributes(completion.usage.attributes())
            match = question.answer.search(completion.text().lower())
            if match is None:
                self._mark_fallback(span, question.name, UNREADABLE)
                return None
            return question.read(match[1])

    async def _complete(self, question: Question[Answer], spoken: str) -> Completion:
        # Raw, because the SDK's models take whatever comes: a proxy's HTML page is a str then.
        answer = await self._client.chat.completions.with_raw_response.create(
            model=self._model,
            temperature=0.0,
            max_completion_tokens=16,
            messages=[
                {"role": "system", "content": question.instruction},
                {"role": "user", "content": spoken[-LONGEST_PROMPT:]},
            ],
        )
        return Completion.model_validate_json(await answer.read())

    def _mark_fallback(self, span: Span, call: str, error_type: str) -> None:
        span.set_attributes({"error.type": error_type, "why504.llm.fallback": True})
        span.set_status(StatusCode.ERROR)
        self._fallbacks.add(1, {"call": call})

    def _attributes(self) -> dict[str, str | int]:
        url = self._client.base_url
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "groq",
            "gen_ai.request.model": self._model,
            "server.address": url.host,
            "server.port": url.port or (443 if url.scheme == "https" else 80),
        }
