"""Groq reads a session: two calls at once, each bounded, retried, and with a fallback.

Span names and attributes: OpenTelemetry's GenAI conventions. Prompts and answers never go on a
span: they are people's private talk. They go to Langfuse, redacted (langfuse_log.py).

From outside in: the caller's budget (by cancellation) > retries > bulkhead > breaker > one attempt.
The breaker counts attempts, not calls: a call that a budget cuts off in its third attempt has
shown twice that the provider does not answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import groq
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from tenacity import RetryCallState

from service.application.settings import Settings
from service.domain.conversation import Message
from service.domain.friendship import SessionReading
from service.infrastructure.breaker import Breaker, BreakerOpen
from service.infrastructure.breaker_metrics import BreakerMetrics
from service.infrastructure.llm.completion import Completion
from service.infrastructure.llm.langfuse_log import CallRecord, make_llm_log
from service.infrastructure.llm.metrics import PROVIDER, LlmMetrics
from service.infrastructure.llm.questions import (
    EMOTION,
    QUESTIONS,
    Answer,
    Prompt,
    Question,
    spoken_of,
)
from service.infrastructure.llm.retrying import attempts, failure_of_provider, retry_after_s

UNREADABLE: Final = "unreadable_answer"
"""`error.type` of an answer that is no completion, or does not say what was asked."""
PARAMETERS: Final = {"temperature": 0.0, "max_completion_tokens": 16}


class GroqEmotionReader:
    """Asks a model on Groq, through the asynchronous client of the official SDK."""

    def __init__(
        self, settings: Settings, registry: CollectorRegistry, *, budget_s: float | None = None
    ) -> None:
        """`budget_s` is what the caller gives one reading: `limits.analysis_s` unless it says."""
        limits = settings.limits
        self._settings = settings
        self._model = settings.groq_model
        self._limit_s = limits.llm_s
        self._budget_s = limits.analysis_s if budget_s is None else budget_s
        self._client = groq.AsyncGroq(
            api_key=settings.groq_api_key.get_secret_value(),
            base_url=settings.groq_base_url,
            timeout=self._limit_s,
            max_retries=0,
        )
        # At DEBUG, which GROQ_LOG can switch on, the SDK prints whole requests.
        logging.getLogger("groq").setLevel(logging.INFO)
        self._tracer = trace.get_tracer("service.llm")
        self._log = make_llm_log(settings)
        self._metrics = LlmMetrics(
            registry, model=self._model, questions=(EMOTION.name, QUESTIONS.name)
        )
        self._places = asyncio.Semaphore(settings.llm_concurrency)
        self._breaker = Breaker(
            failures=settings.breaker_failures,
            open_s=settings.breaker_open_s * settings.time_scale,
            on_change=BreakerMetrics(registry, prefix="llm", provider=PROVIDER).changed,
        )

    async def read(
        self, transcript: Sequence[Message], memories: Sequence[str] = ()
    ) -> SessionReading:
        """Return the reading; where the LLM does not answer, its fallback, never an error."""
        spoken = spoken_of(transcript, memories)
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
        """Give back connections, and send what Langfuse was not told yet; called at shutdown."""
        await self._client.close()
        await self._log.aclose()

    async def _ask(self, question: Question[Answer], spoken: str) -> Answer | None:
        """Return the model's answer, or None if there is none that can be read."""
        prompt, record = Prompt(question.instruction, spoken), CallRecord()
        with self._watched(question, prompt, record) as span:
            try:
                completion = await self._complete(prompt, record, span)
                record.output, record.usage = completion.text(), completion.usage
                answer = question.answered(record.output)
                record.error_type = UNREADABLE if answer is None else ""
            except (groq.GroqError, TimeoutError, BreakerOpen) as error:
                answer, record.error_type = None, type(error).__name__
            except ValidationError:
                answer, record.error_type = None, UNREADABLE
            record.fallback = question.fallback if answer is None else None
        return answer

    @contextmanager
    def _watched(
        self, question: Question[Answer], prompt: Prompt, record: CallRecord
    ) -> Iterator[Span]:
        """Tell what becomes of a call: by its span, by metrics, and to Langfuse."""
        started_s = time.perf_counter()
        with self._tracer.start_as_current_span(
            f"chat {self._model}",
            kind=SpanKind.CLIENT,
            attributes=self._attributes(),
            # An exception's message may quote the answer, and an answer may quote the prompt.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            end = self._log.begin(
                question.name, model=self._model, parameters=PARAMETERS, prompt=prompt
            )
            try:
                yield span
            except BaseException as error:
                record.error_type = type(error).__name__
                raise
            finally:
                self._told(span, question.name, record)
                duration_s = time.perf_counter() - started_s
                self._metrics.ended(duration_s=duration_s, error_type=record.error_type)
                end(record)

    def _told(self, span: Span, question: str, record: CallRecord) -> None:
        if record.output is not None:
            span.set_attributes(record.usage.attributes())
            self._metrics.used(record.usage)
        if record.error_type:
            span.set_attribute("error.type", record.error_type)
            span.set_status(StatusCode.ERROR)
        if record.fallback is not None:
            span.set_attribute("why504.llm.fallback", True)
            self._metrics.fell_back(question)

    async def _complete(self, prompt: Prompt, record: CallRecord, span: Span) -> Completion:
        """Return the first attempt's answer that is one.

        Raises:
            groq.GroqError, TimeoutError, ValidationError: the last attempt's.
            BreakerOpen: the provider is being left alone.
        """

        def before_pause(state: RetryCallState) -> None:
            self._metrics.retried()
            span.add_event("llm.pause", {"llm.pause_s": state.upcoming_sleep})

        retrying = attempts(
            most=self._settings.llm_attempts,
            time_scale=self._settings.time_scale,
            budget_s=self._budget_s,
            before_pause=before_pause,
        )
        completion: Completion = await retrying(self._attempt, prompt, record, span)
        return completion

    async def _attempt(self, prompt: Prompt, record: CallRecord, span: Span) -> Completion:
        with self._metrics.waiting():
            await self._places.acquire()
        told: dict[str, AttributeValue] = {}
        try:
            with self._metrics.in_flight(), self._breaker.call(failure_of_provider):
                record.attempts += 1
                told["llm.attempt"] = record.attempts
                completion = await self._asked(prompt)
                told["http.response.status_code"] = 200
                return completion
        except BaseException as error:
            told |= self._failure(error, record)
            raise
        finally:
            self._places.release()
            span.add_event("llm.attempt", told)

    def _failure(self, error: BaseException, record: CallRecord) -> dict[str, AttributeValue]:
        """Return an attempt's failure as attributes, and count it."""
        told: dict[str, AttributeValue] = {"error.type": type(error).__name__}
        if isinstance(error, groq.APIStatusError):
            told["http.response.status_code"] = error.status_code
            if "retry-after" in error.response.headers:
                told["llm.retry_after_s"] = retry_after_s(error)
        if isinstance(error, groq.RateLimitError):
            record.rate_limited += 1
            self._metrics.rate_limited()
        return told

    async def _asked(self, prompt: Prompt) -> Completion:
        # The SDK's limit is one for each read from the socket; this one is for the whole answer.
        async with asyncio.timeout(self._limit_s):
            # Raw, because the SDK's models take whatever comes: a proxy's page is a str then.
            answer = await self._client.chat.completions.with_raw_response.create(
                model=self._model,
                temperature=PARAMETERS["temperature"],
                max_completion_tokens=int(PARAMETERS["max_completion_tokens"]),
                messages=[
                    {"role": "system", "content": prompt.instruction},
                    {"role": "user", "content": prompt.spoken},
                ],
            )
            return Completion.model_validate_json(await answer.read())

    def _attributes(self) -> dict[str, str | int]:
        url = self._client.base_url
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": self._model,
            "server.address": url.host,
            "server.port": url.port or (443 if url.scheme == "https" else 80),
        }
