"""One request of OTLP over HTTP, and what its answer means for the spans in it.

The SDK's own exporter tells only whether it worked. Whoever keeps what did not has to know whether
it can ever work. Source: OTLP specification 1.x, "OTLP/HTTP Response" and "Failures"; recorded
answers of collector 0.156 and Tempo 3.
"""

from __future__ import annotations

import gzip
import math
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import httpx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.util.re import parse_env_headers

from why504.errors import ConfigError

ANSWER_TIMEOUT_S: Final = 3.0
"""Longest wait for a connection, and for each piece of an answer."""
LONGEST_ASKED_S: Final = 60.0
"""A receiver that asks to be left alone for longer is tried again all the same."""
_LARGEST_ANSWER: Final = 65_536
_PROTOBUF: Final = "application/x-protobuf"


class Verdict(Enum):
    """What can become of the spans of a request."""

    TAKEN = "taken"
    LATER = "later"
    """Not now: the same request may pass once the receiver, or a setting, is mended."""
    SMALLER = "smaller"
    """Not in one piece."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request led to."""

    verdict: Verdict
    reason: str = ""
    """Why it was not taken: `unreachable`, `busy`, `misdirected`, `too_large`, `refused`."""
    says: str = ""
    """The same for people."""
    retry_after_s: float | None = None
    """What the receiver asked to wait."""
    rejected: int = 0
    """Spans of a request that was taken which are no valid spans to the receiver."""


Post = Callable[[bytes], Answer]
"""Sends one encoded request; never raises for whatever answers."""

_MEANINGS: Final = {
    **dict.fromkeys((408, 429, 502, 503, 504), (Verdict.LATER, "busy")),
    # The address or the account is wrong, not the spans: they wait until somebody mends it.
    **dict.fromkeys((401, 403, 404, 405, 407, 415), (Verdict.LATER, "misdirected")),
    413: (Verdict.SMALLER, "too_large"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver of OTLP over HTTP, and how to speak to it."""

    endpoint: str
    """Base URL; `/v1/traces` is added."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificate: str = ""
    """Authorities that are trusted instead of the system's, PEM file."""
    client_certificate: str = ""
    client_key: str = ""
    compressed: bool = False

    @property
    def place(self) -> str:
        """Return `http://host:4318`: without an account, it may be logged."""
        url = httpx.URL(self.endpoint)
        return f"{url.scheme}://{url.netloc.decode()}"


def target_of(endpoint: str, env: Mapping[str, str] = os.environ) -> Target:
    """Return the receiver at `endpoint` with what OTEL_EXPORTER_OTLP_* says of traces.

    Raises:
        ConfigError: it is no address, or a setting makes no sense.
    """

    def told(name: str) -> str:
        prefix = "OTEL_EXPORTER_OTLP_"
        return env.get(f"{prefix}TRACES_{name}") or env.get(f"{prefix}{name}") or ""

    try:
        url = httpx.URL(endpoint)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        # It is not repeated: there may be an account in it.
        raise ConfigError("not an address of an OTLP receiver; write http://collector:4318")
    return Target(
        endpoint.rstrip("/"),
        parse_env_headers(told("HEADERS"), liberal=True),
        told("CERTIFICATE"),
        told("CLIENT_CERTIFICATE"),
        told("CLIENT_KEY"),
        told("COMPRESSION").strip().lower() == "gzip",
    )


class OtlpClient:
    """Posts to one receiver; for several threads at once.

    Raises:
        ConfigError: a certificate can't be read, or a header can't be sent.
    """

    def __init__(self, target: Target) -> None:
        self._place = target.place
        self._url = f"{target.endpoint}/v1/traces"
        self._headers = {"content-type": _PROTOBUF}
        if target.compressed:
            self._headers["content-encoding"] = "gzip"
        try:
            self._client = httpx.Client(
                headers={**target.headers, "accept-encoding": "identity"},
                timeout=ANSWER_TIMEOUT_S,
                verify=_trust(target) if target.endpoint.startswith("https:") else False,
            )
        except (OSError, ValueError) as error:
            raise ConfigError(f"OTEL_EXPORTER_OTLP_* can't be used: {error}") from error

    def post(self, body: bytes) -> Answer:
        """Send one encoded ExportTraceServiceRequest."""
        content = gzip.compress(body, 1) if "content-encoding" in self._headers else body
        try:
            with self._client.stream(
                "POST", self._url, content=content, headers=self._headers
            ) as answer:
                return self._understood(answer)
        except httpx.HTTPError as error:
            says = f"{self._place}: {type(error).__name__} {error}".strip()
            return Answer(Verdict.LATER, "unreachable", says)

    def _understood(self, answer: httpx.Response) -> Answer:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        status = answer.status_code
        says = f"{self._place} answered {status}"
        if answer.is_success and kind == "text/html":
            # The page of a proxy or of a sign-in, not the word of a receiver.
            return Answer(Verdict.LATER, "misdirected", f"{says} with a web page")
        if answer.is_success:
            return Answer(Verdict.TAKEN, rejected=_rejected(answer) if kind == _PROTOBUF else 0)
        if answer.is_redirect:
            return Answer(Verdict.LATER, "misdirected", says)
        verdict, reason = _MEANINGS.get(status, (Verdict.NEVER, "refused"))
        return Answer(verdict, reason, says, _asked_s(answer.headers.get("retry-after", "")))


def _trust(target: Target) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=target.certificate or None)
    if target.client_certificate:
        context.load_cert_chain(target.client_certificate, target.client_key or None)
    return context


def _rejected(answer: httpx.Response) -> int:
    """Return how many spans the receiver could not use; what is not understood says none."""
    body = bytearray()
    try:
        for piece in answer.iter_raw():
            body += piece
            if len(body) > _LARGEST_ANSWER:
                return 0
        told = ExportTraceServiceResponse.FromString(bytes(body))
    except (httpx.HTTPError, DecodeError):
        return 0  # its status has said that the spans were taken
    return max(0, int(told.partial_success.rejected_spans))


def _asked_s(retry_after: str) -> float | None:
    """Return the seconds of a `Retry-After`; of a date, which OTLP does not ask for, none."""
    try:
        asked_s = float(retry_after)
    except ValueError:
        return None
    return min(max(asked_s, 0.0), LONGEST_ASKED_S) if math.isfinite(asked_s) else None
