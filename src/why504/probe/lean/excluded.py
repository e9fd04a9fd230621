"""Addresses whose requests get no server span, by OpenTelemetry's variables for that.

A list of regular expressions with commas between them; each is searched for in `http://host/path`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

from why504.probe.lean.http import DEFAULT_PORT, NO_PORT

_LOG = logging.getLogger("why504.probe")
_VARIABLES: Final = ("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS")
"""The first that is set counts."""


def excluded_urls(env: Mapping[str, str] = os.environ) -> re.Pattern[str] | None:
    """Return what addresses must not look like to be traced; None if all are.

    What is no regular expression is left out, and the log says so.
    """
    variable, parts = _told(env)
    if not parts:
        return None
    try:
        # As OpenTelemetry reads them: of `/(a,b)` neither part would be one by itself.
        return re.compile("|".join(parts))
    except _NO_EXPRESSION:
        return _of_the_good(variable, parts)


_NO_EXPRESSION: Final = (re.error, OverflowError)


@contextmanager
def with_the_good_alone(env: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Have the variable say only what is a regular expression, for as long as this lasts.

    OpenTelemetry's instrumentation reads it as it is imported, and raises for what is none.
    """
    variable, parts = _told(env)
    good = excluded_urls(env)
    kept = "" if good is None else good.pattern
    if kept == "|".join(parts):
        yield
        return
    told, env[variable] = env[variable], kept
    try:
        yield
    finally:
        env[variable] = told


def _told(env: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the variable that counts and the parts of what it says; none if it says nothing."""
    variable = next((name for name in _VARIABLES if name in env), "")
    told = env.get(variable)
    return variable, [part.strip() for part in told.split(",")] if told else []


def _of_the_good(variable: str, parts: list[str]) -> re.Pattern[str] | None:
    found: re.Pattern[str] | None = None
    # An empty part is found in every address.
    for part in filter(None, parts):
        try:
            found = re.compile(f"{found.pattern}|{part}" if found else part)
        except _NO_EXPRESSION as error:
            _LOG.warning(
                "%s: %r is no regular expression (%s), so it excludes nothing; it is searched for "
                "anywhere in an address: write /health, not */health",
                variable,
                part,
                error,
            )
    return found


def address_of(scope: Mapping[str, Any]) -> str:
    """Return the address of a request, without its query."""
    host = next((value for name, value in scope.get("headers") or () if name == b"host"), None)
    if host is None:
        server, port = scope.get("server") or ("0.0.0.0", DEFAULT_PORT)
        place = server if port in NO_PORT else f"{server}:{port}"
    else:
        place = host.decode("latin-1")
    return f"{scope.get('scheme', 'http')}://{place}{scope.get('path', '')}"
