"""Asks a server over HTTP: who we are, how long we wait, when we ask again, what an error means.

Shared by Tempo's and Prometheus' clients. No message has a secret in it.
"""

from __future__ import annotations

import contextlib
import json
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from why504.errors import ConfigError, StoreUnavailable
from why504.stores.access import Access

ATTEMPTS: Final = 5
UNREACHED: Final = 2
"""Attempts where nobody answers: whoever looks at a page waits meanwhile."""
LARGEST_BYTES: Final = 128 * 2**20
"""Of an answer, unpacked; a page of 5,000 traces has 10 MB."""
_LONGEST_PAUSE_S: Final = 30.0
_PASSES: Final = frozenset({429, 500, 502, 503, 504})

Params = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Server:
    """What a kind of server is called, and what is particular about it."""

    name: str
    """For people: `Tempo`."""
    api: str
    """What is missing where it answers 404: `Tempo API of version 2`."""
    shorter: str
    """What to do where it needs too long."""
    said: Callable[[bytes], str]
    """Returns what the body of an error says, for people."""
    final: frozenset[int] = frozenset()
    """Statuses that would pass elsewhere, and here say that the question is too large."""


class Refused(StoreUnavailable):
    """A server does not take a question, whenever it is asked; `reason` is what it says."""

    def __init__(self, said: str, reason: str) -> None:
        super().__init__(said)
        self.reason = reason


class HttpClient:
    """Asks one server; may be used by several threads.

    Args:
        address: `http(s)://host:port`, with a path before its API where there is one.
        server: what kind of server it is.
        transport: instead of the network.
        clock: seconds, for limits of time; `sleep` waits on it.
    """

    def __init__(
        self,
        address: str,
        access: Access,
        server: Server,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.name = checked(address, server.name, access.PREFIX)
        self.clock = clock
        self.requests = 0
        """Questions that were asked so far, repeated ones too."""
        self.bytes_read = 0
        """Of all answers, unpacked."""
        self._access = access
        self._server = server
        self._sleep = sleep
        self._busy_until_s = 0.0
        self._counting = threading.Lock()
        user = (access.user, access.secret()) if access.user else None
        self._http = httpx.Client(
            base_url=self.name,
            headers=_headers(access),
            auth=user,
            verify=_trust(access) if self.name.startswith("https:") else True,
            timeout=httpx.Timeout(access.timeout_s, connect=min(5.0, access.timeout_s)),
            limits=httpx.Limits(max_connections=access.parallel + 1),
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
            if status != 0 and (status not in _PASSES or status in self._server.final):
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

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _wait_for_quiet(self, until_s: float) -> None:
        pause_s = self._busy_until_s - self.clock()
        if pause_s > 0:
            self._sleep(pause_s)
        if self.clock() > until_s:
            raise self._too_long()

    def _too_long(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._who} needs too long: {self._server.shorter}")

    @property
    def _who(self) -> str:
        return f"{self._server.name} at {self.name}"

    def _ask(self, path: str, params: Params, until_s: float) -> tuple[int, httpx.Headers, bytes]:
        limit_s = min(until_s, self.clock() + self._access.timeout_s)
        with self._counting:
            self.requests += 1
        with self._http.stream("GET", path, params=dict(params)) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > LARGEST_BYTES:
                    raise StoreUnavailable(
                        f"{self._who} answers with more than {LARGEST_BYTES >> 20} MB: "
                        f"{self._server.shorter}"
                    )
                if self.clock() > limit_s:
                    raise httpx.ReadTimeout("the answer trickles in")
            with self._counting:
                self.bytes_read += len(body)
            return response.status_code, response.headers, bytes(body)

    def _read(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise self.no_api("no JSON (is the path before /api missing from the address?)") from (
                None
            )

    def no_api(self, why: str) -> StoreUnavailable:
        """Return the error that what answers is another server."""
        return StoreUnavailable(
            f"what answers at {self.name} is not {_whose(self._server.name)} API: {why}"
        )

    def _refusal(self, status: int, body: bytes) -> StoreUnavailable:
        told, prefix = self._server.said(body), self._access.PREFIX
        if status in (401, 403):
            return StoreUnavailable(
                f"{self._who} does not let us in ({status}): look at {prefix}_TOKEN, "
                f"{prefix}_USER and _PASSWORD, and {prefix}_TENANT"
            )
        if status == 404:
            return StoreUnavailable(
                f"{self.name} has no {self._server.api} (404): look at the address, and "
                "whether a path belongs before /api"
            )
        if 300 <= status < 400:
            return StoreUnavailable(
                f"{self.name} sends us elsewhere ({status}), which is not followed: name the "
                "final address, or a token if it leads to a login"
            )
        return Refused(f"{self._who} refuses a query ({status}): {told}", told)

    def _trouble(self, status: int, body: bytes) -> str:
        if not status:
            told = first_line(body)
            return f"can't reach {self._who} ({told}): is it running, and is that its address?"
        told = self._server.said(body)
        if status == 429:
            return f"{self._who} is too busy ({told}): ask again in a minute"
        return f"{self._who} fails ({status} {told}): look at its log, then ask again"


def checked(address: str, name: str, prefix: str) -> str:
    """Return the base address of a server, without a slash at its end.

    Args:
        address: as somebody told it.
        name: of the kind of server, for people.
        prefix: of its settings' variables.

    Raises:
        ConfigError: it is none, or has a user or password in it.
    """
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises if it is no port
    except ValueError:
        raise ConfigError(f"{_whose(name)} address must be http(s)://host:port") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            f"{_whose(name)} address must not have a password in it: set {prefix}_USER and "
            f"{prefix}_PASSWORD_FILE"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"{_whose(name)} address must be http(s)://host:port, maybe with a path")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _whose(name: str) -> str:
    return f"{name}'" if name.endswith("s") else f"{name}'s"


def first_line(body: bytes) -> str:
    """Return the first line of an answer as text that can be printed; `no reason` if empty."""
    lines = body[:2000].decode("utf-8", "replace").split("\n")
    return "".join(sign for sign in lines[0][:200] if sign.isprintable()).strip() or "no reason"


def _headers(access: Access) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    token = access.bearer()
    for name, value in (("TOKEN", token), ("TENANT", access.tenant)):
        if not (value.isascii() and value.isprintable()):
            raise ConfigError(f"{access.PREFIX}_{name} has signs that no header can have")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if access.tenant:
        headers["X-Scope-OrgID"] = access.tenant
    return headers


def _trust(access: Access) -> ssl.SSLContext:
    with _read_for(f"{access.PREFIX}_CA_FILE"):
        context = ssl.create_default_context(cafile=access.ca_file or None)
    if access.cert_file:
        with _read_for(f"{access.PREFIX}_CERT_FILE or _KEY_FILE"):
            # Never asks for a passphrase: nobody may be there to answer.
            context.load_cert_chain(access.cert_file, access.key_file or None, lambda: "")
    return context


@contextlib.contextmanager
def _read_for(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise ConfigError(f"{name} can't be read as PEM") from None


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
