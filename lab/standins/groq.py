"""A stand-in for Groq: `python -m lab.standins.groq --port 8081 --delay-s 0.3`.

Speaks what the real `groq` client needs of console.groq.com/docs (api-reference, rate-limits):
chat completions without streaming, typed answers with usage, errors 400, 401 and 429 with their
headers. `PUT /_control` changes its behaviour while it runs; see `Behaviour`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from collections.abc import Mapping

import uvicorn
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ORGANIZATION = "org_01stand0in0000000000000000"
REQUESTS_PER_DAY, TOKENS_PER_MINUTE = 14_400, 18_000


class Behaviour(BaseModel):
    """What it does with each request; a PUT changes the fields that it names."""

    model_config = ConfigDict(extra="forbid")

    delay_s: float = Field(default=0.0, ge=0, le=3600)
    """Before any answer, errors included."""
    limited: bool = False
    """Every request gets 429."""
    retry_after_s: float = Field(default=2.0, ge=0)
    """Of a 429, in its Retry-After."""
    content: str = "neutral"
    """What the model says."""


class ChatRequest(BaseModel):
    """The part of a request that the answer depends on."""

    model: str = Field(min_length=1)
    messages: list[dict[str, object]] = Field(min_length=1)
    stream: bool = False


def build_app(behaviour: Behaviour) -> Starlette:
    """Return the stand-in as an ASGI application."""
    app = Starlette(
        routes=[
            Route("/openai/v1/chat/completions", complete, methods=["POST"]),
            Route("/_control", control, methods=["GET", "PUT"]),
        ]
    )
    app.state.behaviour = behaviour
    return app


async def complete(request: Request) -> Response:
    """`POST /openai/v1/chat/completions`."""
    behaviour: Behaviour = request.app.state.behaviour
    body = await request.body()
    started_s = time.perf_counter()
    await asyncio.sleep(behaviour.delay_s)
    if len(request.headers.get("authorization", "").removeprefix("Bearer ").strip()) == 0:
        return _error(401, "Invalid API Key", "invalid_request_error", "invalid_api_key")
    try:
        chat = ChatRequest.model_validate_json(body)
    except ValueError as error:
        return _error(400, str(error), "invalid_request_error", "invalid_request")
    if chat.stream:
        return _error(400, "the stand-in does not stream", "invalid_request_error", "stream")
    if behaviour.limited:
        return _rate_limited(chat.model, behaviour.retry_after_s)
    answer = _completion(chat, behaviour.content, time.perf_counter() - started_s)
    return JSONResponse(answer, headers=_rate_headers(TOKENS_PER_MINUTE - 3))


async def control(request: Request) -> Response:
    """`GET` shows how it behaves, `PUT` changes it: `{"delay_s": 5}`."""
    if request.method == "PUT":
        now = request.app.state.behaviour.model_dump()
        try:
            changed = Behaviour.model_validate(now | await request.json())
        except (ValueError, TypeError) as error:
            return _error(400, str(error), "invalid_request_error", "control")
        request.app.state.behaviour = changed
    return JSONResponse(request.app.state.behaviour.model_dump())


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


def _rate_limited(model: str, retry_after_s: float) -> JSONResponse:
    message = (
        f"Rate limit reached for model `{model}` in organization `{ORGANIZATION}` service tier "
        f"`on_demand` on tokens per minute (TPM): Limit {TOKENS_PER_MINUTE}, "
        f"Used {TOKENS_PER_MINUTE}, Requested 1. Please try again in {retry_after_s:g}s."
    )
    headers = {"retry-after": f"{retry_after_s:g}", **_rate_headers(0, retry_after_s)}
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


def main() -> None:
    """Serve on 127.0.0.1 until a signal comes."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--delay-s", type=float, default=0.0)
    given = arguments.parse_args()
    app = build_app(Behaviour(delay_s=given.delay_s))
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
