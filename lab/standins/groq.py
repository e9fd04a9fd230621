"""A stand-in for Groq: `python -m lab.standins.groq --port 8081 --delay-s 0.3`.

Speaks what the real `groq` client needs of console.groq.com/docs (api-reference, rate-limits):
chat completions without streaming, typed answers with usage, errors 400, 401, 429 and 5xx with
their headers. `PUT /_control` changes its behaviour while it runs, see `Behaviour`; `GET /_seen`
tells how often it was asked. What it answers follows from the prompt alone, see `answer_to`.
"""

from __future__ import annotations

import re
import time
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.standins import control

ORGANIZATION = "org_01stand0in0000000000000000"
REQUESTS_PER_DAY, TOKENS_PER_MINUTE = 14_400, 18_000


FEELINGS: Final = (
    ("love", "love adore miss kiss heart darling yêu thương"),
    ("joy", "happy glad great fun laugh wonderful thanks thank yay vui"),
    ("sadness", "sad cry lonely lost ill died grief tired buồn"),
    ("fear", "afraid scared worry worried anxious panic nervous sợ"),
    ("anger", "angry hate stupid annoying furious shut giận"),
    ("surprise", "wow really unexpected suddenly amazing surprised"),
)
"""(emotion, words that tell of it); a tie is for the upper row."""


class Behaviour(control.Behaviour):
    """What it does with each request; a PUT changes the fields that it names."""

    limited: bool = False
    """Every request gets 429."""
    retry_after_s: float | None = Field(default=2.0, ge=0)
    """Of a 429, in its Retry-After; None = it has none."""
    retry_after: str | None = None
    """Retry-After of every error, word for word: a date, or garbage."""
    fail_share: float = Field(default=1.0, ge=0, le=1)
    """Share of the requests that `limited` or `status` meets, spread evenly."""
    echo: bool = False
    """Errors quote the prompt, as those of a filter or a proxy may."""
    content: str | None = None
    """What the model says; None = what follows from the prompt."""


@dataclass(slots=True)
class Seen:
    """What it was asked so far."""

    calls: int = 0
    at_once: int = 0
    most_at_once: int = 0
    unlucky: float = 0.0
    """Failures that are due, in requests."""

    def fails(self, share: float) -> bool:
        """Return whether this request is one of those that fail."""
        self.unlucky += share
        failed = self.unlucky >= 1
        self.unlucky -= failed
        return failed


class ChatRequest(BaseModel):
    """The part of a request that the answer depends on."""

    model: str = Field(min_length=1)
    messages: list[dict[str, object]] = Field(min_length=1)
    stream: bool = False

    def prompt(self) -> str:
        """Return all that is said in it, one message after the other."""
        return "\n".join(str(message.get("content", "")) for message in self.messages)


def build_app() -> Starlette:
    """Return the stand-in as an ASGI application."""
    app = Starlette(
        routes=[
            Route("/openai/v1/chat/completions", complete, methods=["POST"]),
            Route("/_control", control.control, methods=["GET", "PUT"]),
            Route("/_seen", seen, methods=["GET"]),
        ]
    )
    app.state.behaviour = Behaviour()
    app.state.seen = Seen()
    return app


async def complete(request: Request) -> Response:
    """`POST /openai/v1/chat/completions`."""
    behaviour: Behaviour = request.app.state.behaviour
    seen: Seen = request.app.state.seen
    body = await request.body()
    started_s = time.perf_counter()
    seen.calls += 1
    seen.at_once += 1
    seen.most_at_once = max(seen.most_at_once, seen.at_once)
    try:
        await control.waited(behaviour)
    finally:
        seen.at_once -= 1
    if len(request.headers.get("authorization", "").removeprefix("Bearer ").strip()) == 0:
        return _error(401, "Invalid API Key", "invalid_request_error", "invalid_api_key")
    try:
        chat = ChatRequest.model_validate_json(body)
    except ValueError as error:
        return _error(400, str(error), "invalid_request_error", "invalid_request")
    if chat.stream:
        return _error(400, "the stand-in does not stream", "invalid_request_error", "stream")
    if (behaviour.limited or behaviour.status) and seen.fails(behaviour.fail_share):
        return _failure(chat, behaviour)
    content = answer_to(chat.prompt()) if behaviour.content is None else behaviour.content
    answer = _completion(chat, content, time.perf_counter() - started_s)
    return JSONResponse(answer, headers=_rate_headers(TOKENS_PER_MINUTE - 3))


async def seen(request: Request) -> Response:
    """`GET /_seen`: how many calls there were, and how many at once at most."""
    seen: Seen = request.app.state.seen
    return JSONResponse({"calls": seen.calls, "most_at_once": seen.most_at_once})


def answer_to(prompt: str) -> str:
    """Return the same words for the same prompt: a count of questions, or an emotion.

    Questions are the marks `?` in the user's lines. The emotion is that of most words in them;
    where no word tells, a hash of the lines picks one.
    """
    instruction, _, spoken = prompt.partition("\n")
    told = "\n".join(line for line in spoken.splitlines() if line.startswith("user:"))
    if "question" in instruction.lower():
        return str(told.count("?"))
    words = re.findall(r"\w+", told.lower())
    counts = [(sum(word in known.split() for word in words), name) for name, known in FEELINGS]
    most, name = max(counts, key=lambda pair: pair[0])
    names = ("neutral", *(name for name, _ in FEELINGS))
    return name if most else names[zlib.crc32(told.encode()) % len(names)]


def _failure(chat: ChatRequest, behaviour: Behaviour) -> Response:
    quote = f" Prompt: {chat.prompt()}" if behaviour.echo else ""
    if behaviour.limited:
        return _rate_limited(chat.model, behaviour, quote)
    said = {} if behaviour.retry_after is None else {"retry-after": behaviour.retry_after}
    status = behaviour.status or 500
    return _error(status, f"Told to fail.{quote}", "internal_server_error", "failed", headers=said)


def _completion(chat: ChatRequest, content: str, took_s: float) -> dict[str, object]:
    prompt_tokens = sum(len(str(message.get("content", ""))) for message in chat.messages) // 4 + 1
    completion_tokens = len(content) // 4 + 1
    return {
        "id": f"chatcmpl-{uuid.uuid4()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": chat.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "queue_time": 0.0,
            "prompt_tokens": prompt_tokens,
            "prompt_time": 0.0,
            "completion_tokens": completion_tokens,
            "completion_time": took_s,
            "total_tokens": prompt_tokens + completion_tokens,
            "total_time": took_s,
        },
        "system_fingerprint": "fp_standin",
        "service_tier": "on_demand",
        "x_groq": {"id": f"req_{uuid.uuid4().hex[:26]}"},
    }


def _rate_limited(model: str, behaviour: Behaviour, quote: str) -> JSONResponse:
    again_s = behaviour.retry_after_s or 0.0
    message = (
        f"Rate limit reached for model `{model}` in organization `{ORGANIZATION}` service tier "
        f"`on_demand` on tokens per minute (TPM): Limit {TOKENS_PER_MINUTE}, "
        f"Used {TOKENS_PER_MINUTE}, Requested 1. Please try again in {again_s:g}s.{quote}"
    )
    headers = _rate_headers(0, again_s)
    if behaviour.retry_after is not None:
        headers["retry-after"] = behaviour.retry_after
    elif behaviour.retry_after_s is not None:
        headers["retry-after"] = f"{behaviour.retry_after_s:g}"
    return _error(429, message, "tokens", "rate_limit_exceeded", headers=headers)


def _rate_headers(remaining_tokens: int, reset_s: float = 0.01) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(REQUESTS_PER_DAY),
        "x-ratelimit-limit-tokens": str(TOKENS_PER_MINUTE),
        "x-ratelimit-remaining-requests": str(REQUESTS_PER_DAY - 1),
        "x-ratelimit-remaining-tokens": str(remaining_tokens),
        "x-ratelimit-reset-requests": "6s",
        "x-ratelimit-reset-tokens": f"{reset_s:g}s",
    }


def _error(
    status: int, message: str, kind: str, code: str, *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = {"error": {"message": message, "type": kind, "code": code}}
    return JSONResponse(body, status_code=status, headers=headers)


if __name__ == "__main__":
    control.serve(build_app(), __doc__)
