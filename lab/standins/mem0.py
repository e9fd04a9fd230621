"""A stand-in for Mem0: `python -m lab.standins.mem0 --port 8082`.

Speaks what the real `mem0ai` client needs of docs.mem0.ai (api-reference): ping, add and search.
It keeps what users say, a memory for each of their messages, and recalls the newest. `/_control`
changes its behaviour while it runs; `/_seen` tells what was asked.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from typing import Any

from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.standins.control import Behaviour, control, serve, waited


class Said(BaseModel):
    """One message of a conversation."""

    role: str
    content: str


class Add(BaseModel):
    """`POST /v3/memories/add/`."""

    messages: list[Said] = Field(min_length=1)
    user_id: str = Field(min_length=1)


class Filters(BaseModel):
    """Whose memories are searched."""

    user_id: str = Field(min_length=1)


class Search(BaseModel):
    """`POST /v3/memories/search/`."""

    query: str = Field(min_length=1)
    filters: Filters
    top_k: int = Field(default=10, ge=1, le=1000)


def build_app() -> Starlette:
    """Return the stand-in as an ASGI application."""
    app = Starlette(
        routes=[
            Route("/v1/ping/", ping, methods=["GET"]),
            Route("/v3/memories/add/", add, methods=["POST"]),
            Route("/v3/memories/search/", search, methods=["POST"]),
            Route("/_control", control, methods=["GET", "PUT"]),
            Route("/_seen", seen, methods=["GET"]),
        ]
    )
    app.state.behaviour = Behaviour()
    app.state.memories = defaultdict(list)
    app.state.asked = Counter()
    return app


async def ping(request: Request) -> Response:
    """`GET /v1/ping/`: whether the key is one."""
    refused = await _refused(request)
    return refused or JSONResponse({"status": "ok", "org_id": "org", "project_id": "project"})


async def add(request: Request) -> Response:
    """`POST /v3/memories/add/`: accepted, and memorised at once."""
    refused = await _refused(request)
    if refused:
        return refused
    try:
        asked = Add.model_validate_json(await request.body())
    except ValueError as error:
        return _problem(400, str(error))
    said = [message.content for message in asked.messages if message.role == "user"]
    request.app.state.memories[asked.user_id] += said
    return JSONResponse({"status": "PENDING", "event_id": str(uuid.uuid4())})


async def search(request: Request) -> Response:
    """`POST /v3/memories/search/`: the user's newest memories, the newest first."""
    refused = await _refused(request)
    if refused:
        return refused
    try:
        asked = Search.model_validate_json(await request.body())
    except ValueError as error:
        return _problem(400, str(error))
    found = request.app.state.memories[asked.filters.user_id][: -asked.top_k - 1 : -1]
    return JSONResponse({"results": [_memory(text, asked.filters.user_id) for text in found]})


async def seen(request: Request) -> Response:
    """`GET /_seen`: how often each path was asked, and what is remembered of whom."""
    state = request.app.state
    return JSONResponse({"asked": state.asked, "memories": state.memories})


async def _refused(request: Request) -> Response | None:
    state = request.app.state
    state.asked[request.url.path] += 1
    await waited(state.behaviour)
    if state.behaviour.status:
        return _problem(state.behaviour.status, "told to fail")
    if not request.headers.get("authorization", "").removeprefix("Token ").strip():
        return _problem(401, "Authentication credentials were not provided.")
    return None


def _memory(text: str, user_id: str) -> dict[str, Any]:
    memory_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{user_id} {text}"))
    return {"id": memory_id, "memory": text, "user_id": user_id, "metadata": None, "score": 0.5}


def _problem(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status_code=status)


if __name__ == "__main__":
    serve(build_app(), __doc__)
