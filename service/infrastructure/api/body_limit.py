"""Refuses large bodies before they are read, as a problem detail like every other error.

Why not FastAPI's `max_body_size`: it answers in plain text and past the exception handlers.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Answers 413 to a body of more than `limit_bytes`, whatever length it declares."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int | None) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        limit_bytes = self._limit_bytes
        if scope["type"] != "http" or limit_bytes is None:
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        received_bytes = 0

        async def limited() -> Message:
            nonlocal received_bytes
            # Raised where the route reads the body, hence inside the exception handlers.
            if declared.isdecimal() and int(declared) > limit_bytes:
                raise HTTPException(413)
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > limit_bytes:
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)
