"""A stand-in for Google Chat's incoming webhooks: `python -m lab.standins.googlechat --port 8083`.

Speaks `spaces.messages.create` of the discovery document chat.v1 as far as webhooks may use it: one
message a second and space, 32,000 bytes, one message of each `requestId`, threads by `threadKey`,
errors as Google writes them. `/_control` changes its behaviour, `/_seen` tells what is in the room
(`?after=10` without the first ten), and how many messages came too soon; `/` shows the room.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lab.standins.control import Behaviour, control, serve, waited
from lab.standins.roompage import page

MESSAGE_BYTES: Final = 32_000
WIDGETS: Final = 100
_STATUSES: Final = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip


Mishap = Literal["401", "429", "500", "503", "hang", "late", "cut"]
"""A refusal, or: never answered; taken and never answered; taken, and the answer cut off."""


class ChatBehaviour(Behaviour):
    """What Google Chat does with each message."""

    apart_s: float = Field(default=1.0, ge=0)
    """Messages that follow sooner are refused with 429."""
    cut: bool = False
    """Messages are taken, and the connection is cut instead of an answer."""
    honours_request_id: bool = True
    mishaps: dict[Mishap, float] = Field(default_factory=dict)
    """What befalls which share of the messages, drawn with `seed`."""
    seed: int = 504


class Thread(BaseModel):
    """Where a message belongs."""

    model_config = ConfigDict(extra="forbid")

    threadKey: str = Field(max_length=4000)


class Message(BaseModel):
    """What a webhook may send; cards of version 1 are deprecated and refused."""

    model_config = ConfigDict(extra="forbid")

    text: str = ""
    cardsV2: list[dict[str, Any]] = Field(default_factory=list)
    thread: Thread | None = None


def build_app() -> Starlette:
    """Return the stand-in as an ASGI application."""
    app = Starlette(
        routes=[
            Route("/v1/spaces/{space}/messages", create, methods=["POST"]),
            Route("/_control", control, methods=["GET", "PUT"]),
            Route("/_seen", seen, methods=["GET"]),
            Route("/", room, methods=["GET"]),
        ]
    )
    app.state.behaviour = ChatBehaviour()
    app.state.messages = []
    app.state.by_request_id = {}
    app.state.last_s = {}
    app.state.refused = []
    app.state.asked = 0
    app.state.too_soon = 0
    return app


class Cut(Response):
    """An answer that breaks off."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin to answer, and never end."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"name": "spa', "more_body": True})


async def create(request: Request) -> Response:
    """`POST /v1/spaces/{space}/messages?key=&token=`: a message, once."""
    state = request.app.state
    behaviour: ChatBehaviour = state.behaviour
    space = request.path_params["space"]
    state.asked += 1
    mishap = _mishap(behaviour, state.asked)
    body = await request.body()
    await waited(behaviour)
    if mishap == "hang":
        await asyncio.Event().wait()
    if refusal := _not_now(request, behaviour, mishap):
        return _error(state, *refusal)
    state.last_s[space] = time.monotonic()
    try:
        told = Message.model_validate_json(body)
        message = _taken(request, space, told, body)
    except ValueError as error:
        return _error(state, 400, str(error))
    if mishap == "late":
        await asyncio.Event().wait()
    return Cut() if behaviour.cut or mishap == "cut" else JSONResponse(message)


def _mishap(behaviour: ChatBehaviour, number: int) -> Mishap | None:
    """Return what befalls the message of this number; the same whenever it is run."""
    drawn = random.Random(f"{behaviour.seed}-{number}").random()
    for mishap, share in behaviour.mishaps.items():
        drawn -= share
        if drawn < 0:
            return mishap
    return None


def _not_now(
    request: Request, behaviour: ChatBehaviour, mishap: Mishap | None
) -> tuple[int, str] | None:
    """Return why nothing is taken now, whatever it is."""
    status = int(mishap) if mishap and mishap.isdigit() else behaviour.status
    if status:
        return status, "told to fail"
    if not request.query_params.get("key") or not request.query_params.get("token"):
        return 403, "the caller does not have permission"
    last_s = request.app.state.last_s.get(request.path_params["space"], -1e9)
    if time.monotonic() - last_s < behaviour.apart_s:
        request.app.state.too_soon += 1
        return 429, "Resource has been exhausted (e.g. check quota)."
    return None


def _taken(request: Request, space: str, told: Message, body: bytes) -> dict[str, Any]:
    """Return the message, new or known.

    Raises:
        ValueError: it is too large or empty, or its id was used for other bytes.
    """
    if len(body) > MESSAGE_BYTES:
        raise ValueError("Message size exceeds the limit")
    if not told.text and not told.cardsV2:
        raise ValueError("Message cannot be empty.")
    state = request.app.state
    request_id = request.query_params.get("requestId", "")
    known = state.by_request_id.get(request_id) if request_id else None
    if known and state.behaviour.honours_request_id:
        if known[0] != body:
            raise ValueError("the request id was used for another message")
        return dict(known[1])
    threaded = "messageReplyOption" in request.query_params and told.thread is not None
    number = len(state.messages)
    thread = told.thread.threadKey if threaded and told.thread else f"new-{number}"
    message = {
        "name": f"spaces/{space}/messages/{number}",
        "thread": {"name": f"spaces/{space}/threads/{thread}"},
        "text": told.text,
        "cardsV2": [_shown(card) for card in told.cardsV2],
        "requestId": request_id,
        "at": time.time(),
    }
    state.messages.append(message)
    state.by_request_id[request_id] = (body, message)
    return message


def _shown(card: dict[str, Any]) -> dict[str, Any]:
    """Return a card as it is seen: the section with the widget too many is gone, and the rest."""
    shown, left = [], WIDGETS
    for section in card.get("card", {}).get("sections", []):
        left -= len(section.get("widgets", []))
        if left < 0:
            break
        shown.append(section)
    return {**card, "card": {**card.get("card", {}), "sections": shown}}


async def seen(request: Request) -> Response:
    """`GET /_seen`: the messages in the room, and the statuses of what was refused."""
    state = request.app.state
    after = int(request.query_params.get("after", "0"))
    return JSONResponse(
        {"messages": state.messages[after:], "refused": state.refused, "too_soon": state.too_soon}
    )


async def room(request: Request) -> Response:
    """`GET /`: the messages as people see them."""
    return HTMLResponse(page(request.app.state.messages))


def _error(state: Any, code: int, message: str) -> Response:
    state.refused.append(code)
    told = {"code": code, "message": message, "status": _STATUSES.get(code, "UNKNOWN")}
    return JSONResponse({"error": told}, status_code=code)


if __name__ == "__main__":
    serve(build_app(), __doc__)
