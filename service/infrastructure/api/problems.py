"""Errors as RFC 9457 problem details: what happened, whether to come again, and the trace id."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from service.application.errors import (
    ConversationUnknown,
    ServiceError,
    StoreBusy,
    StoreRefused,
    StoreUnavailable,
    UserUnknown,
)
from service.infrastructure.api.trace_id import trace_id

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem; `retry_after_s` None = the same call would fail again."""

    status: int
    slug: str
    title: str
    retry_after_s: int | None = None


UNEXPECTED: Final = Kind(500, "unexpected", "The service made a mistake")
KINDS: Final[Mapping[type[ServiceError], Kind]] = {
    ConversationUnknown: Kind(404, "conversation-unknown", "No such conversation"),
    UserUnknown: Kind(404, "user-unknown", "No such user"),
    StoreRefused: UNEXPECTED,
    StoreBusy: Kind(503, "store-busy", "The database is too busy", 1),
    StoreUnavailable: Kind(503, "store-unavailable", "The database does not answer", 1),
}
TIMED_OUT: Final = Kind(503, "timed-out", "The service gave up this request", 1)
TOO_MANY: Final = Kind(429, "too-many-requests", "Too many requests of one client")
INVALID: Final = Kind(422, "invalid-request", "The request makes no sense")


def problem(
    scope: Scope,
    kind: Kind,
    *,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """Return a problem as a response; empty members are left out."""
    members = {
        "type": f"urn:problem:{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "trace_id": trace_id(scope),
        **more,
    }
    retry = {} if kind.retry_after_s is None else {"retry-after": str(kind.retry_after_s)}
    # ASCII only: half a surrogate pair, which a client may send, can't be written in UTF-8.
    body = json.dumps({name: value for name, value in members.items() if value})
    return Response(body, kind.status, media_type=MEDIA_TYPE, headers={**(headers or {}), **retry})


def handle_problems(app: FastAPI) -> None:
    """Let every error of this application leave as a problem detail."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


async def _service_error(request: Request, error: Exception) -> Response:
    kind = next(KINDS[each] for each in type(error).__mro__ if each in KINDS)
    if kind is UNEXPECTED:
        # A mistake of ours: for us to read, with the names that it has here.
        logging.getLogger("service").error("%s: %s", type(error).__name__, error)
    return problem(request.scope, kind, detail="" if kind is UNEXPECTED else str(error))


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    kind = Kind(status, status.phrase.lower().replace(" ", "-"), status.phrase)
    return problem(request.scope, kind, headers=error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    # Where and why, never what was sent: a conversation must not travel into somebody's log.
    errors = [{"where": list(each["loc"]), "why": each["msg"]} for each in error.errors()[:20]]
    return problem(request.scope, INVALID, errors=errors)


async def _unexpected(request: Request, error: Exception) -> Response:
    return problem(request.scope, UNEXPECTED)
