"""What the OpenAPI document says of each error: one table for all routes."""

from __future__ import annotations

from typing import Any, Final

from service.infrastructure.api.problems import MEDIA_TYPE

MEANING: Final = {
    404: "Nothing is known under this id.",
    413: "The body is larger than the service reads.",
    422: "The request makes no sense; `errors` says where and why.",
    429: "This client asks too often; `Retry-After` says when to come again.",
    503: "The service can't answer now; `Retry-After` says when to come again.",
}
PROBLEM: Final = {
    "title": "Problem",
    "description": "A problem detail of RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "trace_id"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:problem:store-busy"]},
        "title": {"type": "string", "examples": ["The database is too busy"]},
        "status": {"type": "integer", "examples": [503]},
        "detail": {"type": "string"},
        "trace_id": {"type": "string", "examples": ["4bf92f3577b34da6a3ce929d0e0e4736"]},
        "errors": {
            "description": "Of a 422 only.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "where": {"type": "array", "items": {}, "examples": [["body", "user_id"]]},
                    "why": {"type": "string", "examples": ["Field required"]},
                },
            },
        },
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of these errors, as `responses` of a route."""
    content = {MEDIA_TYPE: {"schema": PROBLEM}}
    return {status: {"description": MEANING[status], "content": content} for status in statuses}
