"""What OpenTelemetry's conventions want to know of a request: attributes of its server span.

The same as `opentelemetry-instrumentation-fastapi` says with today's names; what differs, and why,
is a table in tests/integration/probe/test_server_spans.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_plus

from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe.lean.wire import Prepared

Headers = Iterable[tuple[bytes, bytes]]

_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)
OTHER: Final = "_OTHER"
LONGEST: Final = 1024
"""Characters of what a caller chose that are kept: servers take 64 KB of it."""
_LONGEST_NAME: Final = 256
_EVERY_METHOD: Final = "OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS"
URL_QUERY: Final = "url.query"
"""No evidence of ours, and our collector strips it: said because the stock spans say it."""
DEFAULT_PORT: Final = 80
NO_PORT: Final = frozenset({DEFAULT_PORT, None})
"""What an address leaves out."""
_NAMED: Final = "key|token|sig|secret|passw|pwd|auth|cred|session|jwt|code"
_SHORT: Final = "otp|pin"
"""Within other words, `laptop` and `shipping`, they are none."""
_SUSPICIOUS: Final = re.compile(f"{_NAMED}|{_SHORT}")
"""In a query, in small letters, that has to be looked at parameter by parameter."""
_WORD_BEGINS: Final = r"(?:(?<![a-z])|(?-i:(?<=[a-z])(?=[A-Z])))"
"""As in `pin`, `user_pin` and `userPin`, not in `spin`."""
_SECRETS: Final = re.compile(f"{_NAMED}$|{_WORD_BEGINS}(?:[ht]?otp|pin)(?![a-z])", re.IGNORECASE)
"""In the name of a parameter whose value is nobody's business: `code` at its end, so no `codec`."""
_SYNTHETIC: Final = {"alwayson": "test", "googlebot": "bot", "bingbot": "bot"}
"""What is in the name of an agent that is no user."""


def request_attributes(scope: Mapping[str, Any], agent: bytes) -> Prepared:
    """Return what is known of a request or websocket before it is served."""
    server, client = scope.get("server"), scope.get("client") or ("", 0)
    # What a client made up at length is not kept.
    method, agent = scope.get("method", "")[:_LONGEST_NAME], agent[:_LONGEST_NAME]
    what = (scope.get("scheme", ""), scope.get("http_version", ""), method)
    told: dict[str, AttributeValue] = {}
    if path := scope.get("path"):
        told[names.URL_PATH] = path[:LONGEST]
    if query := scope.get("query_string"):
        told[URL_QUERY] = without_secrets(query)[:LONGEST]
    if client[1]:
        told[names.CLIENT_PORT] = client[1]
    return _of_many(*what, *(server or _NOWHERE), client[0], agent).plus(told)


_NOWHERE: Final = ("0.0.0.0", DEFAULT_PORT)


@lru_cache(maxsize=1024)
def _of_many(  # noqa: PLR0913, PLR0917 a key, not a call
    scheme: str, version: str, method: str, host: str, port: int | None, client: str, agent: bytes
) -> Prepared:
    """Return what many requests have in common."""
    known = known_method(method) if method else ""
    told: dict[str, str | int] = {
        names.URL_SCHEME: scheme,
        names.SERVER_ADDRESS: host if port in NO_PORT else f"{host}:{port}",
        names.SERVER_PORT: port or 0,
        names.PROTOCOL_VERSION: version,
        names.HTTP_METHOD: known,
        names.HTTP_METHOD_ORIGINAL: method if known != method else "",
        names.CLIENT_ADDRESS: client,
        **_agent(agent.decode("latin-1")),
    }
    return Prepared({name: value for name, value in told.items() if value})


@lru_cache(maxsize=64)
def known_method(method: str) -> str:
    """Return a method from a bounded set."""
    known = method.strip().upper()
    return known if known in _METHODS or os.environ.get(_EVERY_METHOD) else OTHER


def _agent(name: str) -> dict[str, str]:
    low = name.lower()
    kind = next((kind for part, kind in _SYNTHETIC.items() if part in low), "")
    return {names.USER_AGENT: name, names.USER_AGENT_KIND: kind}


def without_secrets(query: bytes) -> str:
    """Return a query string with the values of parameters that look like secrets replaced."""
    text = query.decode("utf-8", "replace")
    # Small letters first: to search for them in any case costs each request three times as much.
    if not _SUSPICIOUS.search(text.lower()) and "%" not in text:
        return text
    return "&".join(map(_without_secret, text.split("&")))


def url_without_secrets(url: str) -> str:
    """Return a URL, or what follows its host, without its account and the secrets in its query."""
    place, asked, query = url.partition("?")
    return _ACCOUNT.sub("//", place) + asked + without_secrets(query.encode())


_ACCOUNT: Final = re.compile(r"//[^/?#@]*@")


def _without_secret(parameter: str) -> str:
    name, given, _ = parameter.partition("=")
    return f"{name}=REDACTED" if given and _SECRETS.search(unquote_plus(name)) else parameter
