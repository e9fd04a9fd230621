"""Asks Tempo's HTTP API: who we are, how long we wait, when we ask again, what an error means.

What the server does was recorded from Tempo 3.0.3: errors are plain text, 429 is a full queue and
passes, an unknown tenant is 401. No message has a secret in it.
"""

from __future__ import annotations

import contextlib
import json
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from why504.config import TempoSettings
from why504.errors import ConfigError, StoreUnavailable

ATTEMPTS: Final = 5
UNREACHED: Final = 2
"""Attempts where nobody answers: whoever looks at a page waits meanwhile."""
LARGEST_BYTES: Final = 128 * 2**20
"""Of an answer, unpacked; a page of 5,000 traces has 10 MB."""
LONGEST_S: Final = 180.0
"""All questions for one piece of evidence together."""
_LONGEST_PAUSE_S: Final = 30.0
_PASSES: Final = frozenset({429, 500, 502, 503, 504})

Params = Mapping[str, str | int]


class Refused(StoreUnavailable):
    """Tempo does not take a question, whenever it is asked; `reason` is what it says."""

    def __init__(self, said: str, reason: str) -> None:
        super().__init__(said)
        self.reason = reason


class Client:
    """Asks one Tempo; may be used by several threads.

    Args:
        address: `http(s)://host:3200`, with a path before `/api` where there is one.
        transport: instead of the network.
        clock: seconds, for limits of time; `sleep` waits on it.
    """

    def __init__(
        self,
        address: str,
        settings: TempoSettings,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.name = checked(address)
        self.settings = settings
        self.clock = clock
        self._sleep = sleep
        self._busy_until_s = 0.0
        user = (settings.user, settings.secret()) if settings.user else None
        self._http = httpx.Client(
            base_url=self.name,
            headers=_headers(settings),
            auth=user,
            verify=_trust(settings) if self.name.startswith("https:") else True,
            timeout=httpx.Timeout(settings.timeout_s, connect=min(5.0, settings.timeout_s)),
            limits=httpx.Limits(max_connections=settings.parallel + 1),
            transport=transport,
        )

    def json(self, path: str, params: Params, until_s: float) -> Any:
        """Return the answer to a question, which is JSON.

        Args:
            path: below the address: `api/search`.
            params: of the query.
            until_s: by `clock`; later nothing is asked again or waited for.

        Raises:
            StoreUnavailable: there is no answer, or none that can be read; says what to do.
        """
        for attempt in range(1, ATTEMPTS + 1):
            self._wait_for_quiet(until_s)
            try:
                status, headers, body = self._ask(path, params, until_s)
            except httpx.HTTPError as error:
                status, headers, body = 0, httpx.Headers(), _of(error).encode()
            if status == 200:
                return self._read(body)
            if status not in _PASSES and status != 0:
                raise self._refusal(status, body)
            pause_s = _pause_s(headers, attempt)
            if self.clock() > until_s:
                raise self._too_long()
            attempts = ATTEMPTS if status else UNREACHED
            if attempt >= attempts or self.clock() + pause_s > until_s:
                break
            # The others who ask meanwhile wait too: a full queue does not get shorter by them.
            self._busy_until_s = max(self._busy_until_s, self.clock() + pause_s)
        raise StoreUnavailable(self._trouble(status, body))

    def _wait_for_quiet(self, until_s: float) -> None:
        pause_s = self._busy_until_s - self.clock()
        if pause_s > 0:
            self._sleep(pause_s)
        if self.clock() > until_s:
            raise self._too_long()

    def _too_long(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"Tempo at {self.name} needs too long: ask for a shorter time (--from, --to)"
        )

    def _ask(self, path: str, params: Params, until_s: float) -> tuple[int, httpx.Headers, bytes]:
        limit_s = min(until_s, self.clock() + self.settings.timeout_s)
        with self._http.stream("GET", path, params=dict(params)) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > LARGEST_BYTES:
                    raise StoreUnavailable(
                        f"Tempo at {self.name} answers with more than {LARGEST_BYTES >> 20} MB: "
                        "ask for a shorter time"
                    )
                if self.clock() > limit_s:
                    raise httpx.ReadTimeout("the answer trickles in")
            return response.status_code, response.headers, bytes(body)

    def _read(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise StoreUnavailable(
                f"what answers at {self.name} is not Tempo's API: no JSON "
                "(is the path before /api missing from the address?)"
            ) from None

    def _refusal(self, status: int, body: bytes) -> StoreUnavailable:
        told = _first_line(body)
        if status in (401, 403):
            return StoreUnavailable(
                f"Tempo at {self.name} does not let us in ({status}): look at WHY504_TEMPO_TOKEN, "
                "WHY504_TEMPO_USER and _PASSWORD, and WHY504_TEMPO_TENANT"
            )
        if status == 404:
            return StoreUnavailable(
                f"{self.name} has no Tempo API of version 2 (404): look at the address, and "
                "whether a path belongs before /api"
            )
        if 300 <= status < 400:
            return StoreUnavailable(
                f"{self.name} sends us elsewhere ({status}), which is not followed: name the "
                "final address, or a token if it leads to a login"
            )
        return Refused(f"Tempo at {self.name} refuses a query ({status}): {told}", told)

    def _trouble(self, status: int, body: bytes) -> str:
        told = _first_line(body)
        if status == 429:
            return f"Tempo at {self.name} is too busy ({told}): ask again in a minute"
        if status:
            return f"Tempo at {self.name} fails ({status} {told}): look at its log, then ask again"
        return f"can't reach Tempo at {self.name} ({told}): is it running, and is that its address?"


def checked(address: str) -> str:
    """Return the base address of a Tempo, without a slash at its end.

    Raises:
        ConfigError: it is none, or has a user or password in it.
    """
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises if it is no port
    except ValueError:
        raise ConfigError("Tempo's address must be http(s)://host:port") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "Tempo's address must not have a password in it: set WHY504_TEMPO_USER and "
            "WHY504_TEMPO_PASSWORD_FILE"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError("Tempo's address must be http(s)://host:port, maybe with a path")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _headers(settings: TempoSettings) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    token = settings.bearer()
    for name, value in (("TOKEN", token), ("TENANT", settings.tenant)):
        if not (value.isascii() and value.isprintable()):
            raise ConfigError(f"WHY504_TEMPO_{name} has signs that no header can have")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if settings.tenant:
        headers["X-Scope-OrgID"] = settings.tenant
    return headers


def _trust(settings: TempoSettings) -> ssl.SSLContext:
    with _read_for("CA_FILE"):
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    if settings.cert_file:
        with _read_for("CERT_FILE or _KEY_FILE"):
            # Never asks for a passphrase: nobody may be there to answer.
            context.load_cert_chain(settings.cert_file, settings.key_file or None, lambda: "")
    return context


@contextlib.contextmanager
def _read_for(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise ConfigError(f"WHY504_TEMPO_{name} can't be read as PEM") from None


def _pause_s(headers: httpx.Headers, attempt: int) -> float:
    """Return how long to wait before the next attempt: as told, else longer each time."""
    told = headers.get("retry-after", "")
    if told.isascii() and told.isdigit():
        return min(float(told[:6]), _LONGEST_PAUSE_S)
    return float(0.25 * 2**attempt * random.uniform(0.75, 1.25))  # noqa: S311, no secret


def _of(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__


def _first_line(body: bytes) -> str:
    lines = body[:2000].decode("utf-8", "replace").split("\n")
    return "".join(sign for sign in lines[0][:200] if sign.isprintable()).strip() or "no reason"
