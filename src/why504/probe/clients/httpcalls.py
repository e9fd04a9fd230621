"""What the span of an attempt over HTTP tells, whichever client makes it.

Status, pause asked for (`Retry-After`) and the limit that the client has are what tells a refusal
from slowness. Bodies, headers and query strings stay out of it.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe import site

_GEN_AI: Final = (names.GEN_AI_PROVIDER, names.GEN_AI_OPERATION, names.GEN_AI_MODEL)
_CLIENT_ERROR: Final = 400


def attempt(method: object, host: object, port: object, path: object) -> dict[str, AttributeValue]:
    """Return what is known of an attempt at its start."""
    found: dict[str, AttributeValue] = {
        names.HTTP_METHOD: str(method),
        **of_the_call_around(),
        **server(host, port),
        names.URL_PATH: str(path),
        **site.attributes_of(site.user_line(site.current_lines())),
    }
    return found


def server(host: object, port: object) -> dict[str, AttributeValue]:
    """Return whom a call goes to."""
    found: dict[str, AttributeValue] = {names.SERVER_ADDRESS: str(host)}
    if isinstance(port, int) and port:
        found[names.SERVER_PORT] = port
    return found


def limit(seconds: object) -> dict[str, AttributeValue]:
    """Return the limit that a client has, or that it has none: None is that."""
    if seconds is None:
        return {names.CLIENT_UNLIMITED: True}
    return {names.CLIENT_TIMEOUT_S: float(seconds)} if isinstance(seconds, int | float) else {}


def answered(span: Span, status: int, retry_after: str | None) -> None:
    """End an attempt with its answer; of a streamed one, when its headers are there."""
    span.set_attribute(names.HTTP_STATUS, status)
    pause_s = retry_after_s(retry_after)
    if pause_s is not None:
        span.set_attribute(names.RETRY_AFTER_S, pause_s)
    if status >= _CLIENT_ERROR:
        span.set_attribute(names.ERROR_TYPE, str(status))
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def retry_after_s(told: str | None) -> float | None:
    """Return what `Retry-After` asks for, seconds or a date; None if it is no sensible time."""
    if not told:
        return None
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(told)
        return max(0.0, (until - until.now(until.tzinfo)).total_seconds())
    except (TypeError, ValueError):
        return None


def of_the_call_around() -> dict[str, AttributeValue]:
    """Return what makes this an attempt of an LLM call: the span around it says so."""
    around: Any = trace.get_current_span()
    told = getattr(around, "attributes", None) or {}
    return {name: told[name] for name in _GEN_AI if name in told}
