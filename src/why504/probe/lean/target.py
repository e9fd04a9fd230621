"""Where OTLP goes and how to speak to whoever is there: OTEL_EXPORTER_OTLP_*, read once."""

from __future__ import annotations

import logging
import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from opentelemetry.util.re import parse_env_headers

EXPORT_TIMEOUT_S: Final = 3.0
"""Longest wait for one request."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver of OTLP over HTTP."""

    url: str
    """Whole, with `/v1/traces`; without an account."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = EXPORT_TIMEOUT_S
    compression: str = ""
    """`gzip`, `none`, or empty: whatever pays."""
    certificate: str = ""
    """Authorities that are trusted instead of the system's, PEM file."""
    client_certificate: str = ""
    client_key: str = ""


def target_of(endpoint: str, env: Mapping[str, str] = os.environ) -> Target:
    """Return the receiver at a base URL, with what OTEL_EXPORTER_OTLP_* says of traces."""

    def told(name: str) -> str:
        prefix = "OTEL_EXPORTER_OTLP_"
        return env.get(f"{prefix}TRACES_{name}") or env.get(f"{prefix}{name}") or ""

    place = urlsplit(endpoint.rstrip("/") + "/v1/traces")
    headers = {"Content-Type": "application/x-protobuf"}
    headers |= parse_env_headers(told("HEADERS"), liberal=True)
    headers |= account_of(place, "Authorization")
    return Target(
        place._replace(netloc=place.netloc.rpartition("@")[2]).geturl(),
        headers,
        _seconds(told("TIMEOUT")),
        _known_compression(told("COMPRESSION").strip().lower()),
        told("CERTIFICATE"),
        told("CLIENT_CERTIFICATE"),
        told("CLIENT_KEY"),
    )


def account_of(place: SplitResult, header: str) -> dict[str, str]:
    """Return the header that signs in with the account of a URL; none if it has none."""
    if place.username is None:
        return {}
    account = f"{unquote(place.username)}:{unquote(place.password or '')}"
    return {header: "Basic " + b64encode(account.encode()).decode()}


def _known_compression(told: str) -> str:
    if told in _COMPRESSIONS:
        return told
    _log.warning("OTEL_EXPORTER_OTLP_COMPRESSION=%s is unknown: gzip and none are not", told)
    return ""


_COMPRESSIONS: Final = ("", "gzip", "none")


def _seconds(told: str) -> float:
    try:
        seconds = float(told or EXPORT_TIMEOUT_S)
    except ValueError:
        seconds = -1.0
    if seconds > 0:
        return seconds
    _log.warning(
        "OTEL_EXPORTER_OTLP_TIMEOUT is no number of seconds: %g are used", EXPORT_TIMEOUT_S
    )
    return EXPORT_TIMEOUT_S
