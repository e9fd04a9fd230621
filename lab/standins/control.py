"""What all stand-ins share: how they are told to behave while they run, and how they are served."""

from __future__ import annotations

import argparse
import asyncio

import uvicorn
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Behaviour(BaseModel):
    """What a stand-in does with each request; a PUT changes the fields that it names."""

    model_config = ConfigDict(extra="forbid")

    delay_s: float = Field(default=0.0, ge=0, le=3600)
    """Before any answer, errors included."""
    hang: bool = False
    """Requests are taken and never answered."""
    status: int | None = Field(default=None, ge=400, le=599)
    """Every request gets this error."""


async def waited(behaviour: Behaviour) -> None:
    """Wait as long as it is told to, for ever if it hangs."""
    if behaviour.hang:
        await asyncio.Event().wait()
    await asyncio.sleep(behaviour.delay_s)


async def control(request: Request) -> Response:
    """`GET` shows how it behaves, `PUT` changes it: `{"delay_s": 5}`."""
    state = request.app.state
    if request.method == "PUT":
        now: Behaviour = state.behaviour
        try:
            state.behaviour = type(now).model_validate(now.model_dump() | await request.json())
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
    return JSONResponse(state.behaviour.model_dump())


def serve(app: Starlette, description: str | None) -> None:
    """Serve until a signal comes; what is on the command line is obeyed."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--delay-s", type=float, default=0.0)
    given = arguments.parse_args()
    app.state.behaviour.delay_s = given.delay_s
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning")
