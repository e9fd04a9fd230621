"""One request of OTLP over HTTP on a connection that is kept, with the standard library alone.

Not httpx or requests: either costs more CPU a request than the spans in it, and instrumentation of
them would make spans of our own sending.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from why504.probe.lean.request import Request
from why504.probe.lean.target import Target, account_of

if TYPE_CHECKING:
    from ssl import SSLContext

LONGEST_ASKED_S: Final = 60.0
"""A receiver that asks to be left alone for longer is tried again all the same."""
_OK: Final = range(200, 300)
_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
"""Statuses after which OTLP asks to try again; of any other the spans are lost."""
_LARGEST_ANSWER: Final = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request led to."""

    taken: bool
    again: bool = False
    """Not taken, but the same request may pass later."""
    says: str = ""
    retry_after_s: float = 0.0


TAKEN: Final = Answer(True)


class Post:
    """Posts to one receiver from one thread at a time; never raises for whatever answers."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._place = urlsplit(target.url)
        self._connection: HTTPConnection | None = None
        self._path = ""
        """What is asked for on the connection: to find proxies out reads the whole environment."""
        self._trust: SSLContext | None = None

    def __call__(self, request: Request, timeout_s: float) -> Answer:
        """Send one request."""
        if self._connection is not None:
            # The other side may have closed it while nothing was sent: that says nothing yet.
            with suppress(ConnectionError):
                return self._try(request, timeout_s)
        try:
            return self._try(request, timeout_s)
        except ConnectionError as error:
            return Answer(False, again=True, says=f"{type(error).__name__} {error}")

    def hang_up(self) -> None:
        """End the request that goes on in another thread."""
        sock = None if self._connection is None else self._connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(SHUT_RDWR)  # closing alone would not wake who reads from it

    def _try(self, request: Request, timeout_s: float) -> Answer:
        try:
            return self._exchange(request, timeout_s)
        except ConnectionError:
            self.close()
            raise
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            return Answer(False, again=True, says=f"{type(error).__name__} {error}")

    def _exchange(self, request: Request, timeout_s: float) -> Answer:
        connection = self._connection = self._connection or self._connect()
        connection.timeout = timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        headers = dict(self._target.headers)
        if request.encoding:
            headers["Content-Encoding"] = request.encoding
        connection.request("POST", self._path, request.body, headers)
        response = connection.getresponse()
        response.read(_LARGEST_ANSWER)
        if not response.isclosed():
            self.close()
        return _understood(response.status, response.headers.get("Retry-After", ""))

    def close(self) -> None:
        """Hang up; the next request connects anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> HTTPConnection:
        place, proxy = self._place, self._proxy()
        at = place if proxy is None else proxy
        self._path = place._replace(scheme="", netloc="").geturl()
        if place.scheme != "https":
            if proxy is not None:
                self._path = self._target.url
            return HTTPConnection(at.hostname or "", at.port)
        connection = HTTPSConnection(at.hostname or "", at.port, context=self._trusted())
        if proxy is not None:
            signed = account_of(proxy, "Proxy-Authorization")
            connection.set_tunnel(place.hostname or "", place.port, signed)
        return connection

    def _proxy(self) -> SplitResult | None:
        proxy = getproxies().get(self._place.scheme)
        if not proxy or proxy_bypass(self._place.netloc):
            return None
        return urlsplit(proxy if "//" in proxy else f"//{proxy}")

    def _trusted(self) -> SSLContext:
        # Imported here: not every process speaks TLS to its collector.
        import ssl

        if self._trust is None:
            target = self._target
            self._trust = ssl.create_default_context(cafile=target.certificate or None)
            if not target.certificate:
                _trust_certifi(self._trust)
            if target.client_certificate:
                self._trust.load_cert_chain(target.client_certificate, target.client_key or None)
        return self._trust


def _understood(status: int, retry_after: str) -> Answer:
    if status in _OK:
        return TAKEN
    return Answer(False, status in _AGAIN, f"answered {status}", _asked_s(retry_after))


def _asked_s(retry_after: str) -> float:
    """Return the seconds of a `Retry-After`: a number, or a date."""
    try:
        asked_s = float(retry_after)
    except ValueError:
        try:
            asked_s = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(max(asked_s, 0.0), LONGEST_ASKED_S) if math.isfinite(asked_s) else 0.0


def _trust_certifi(trust: SSLContext) -> None:
    """Trust what Python's HTTP clients trust: an image may have no authorities of its own."""
    try:
        import certifi
    except ImportError:
        return
    trust.load_verify_locations(certifi.where())
