"""An outside watcher that calls people when it does not hear from us: healthchecks.io and the like.

Whoever knows its address may speak for us: it is a secret, all of it but the host.
"""

from __future__ import annotations

import logging
from typing import Final, Protocol, Self

import httpx
from opentelemetry.instrumentation.utils import suppress_instrumentation

from why504.errors import ConfigError, PingFailed

TIMEOUT_S: Final = 10.0


class Watcher(Protocol):
    """Who is told that alerting works. Adapters: `HttpWatcher`; a list in tests."""

    def ping(self) -> None:
        """Return once it heard.

        Raises:
            PingFailed: it did not.
        """
        ...


class HttpWatcher:
    """A watcher that hears a GET."""

    def __init__(self, url: str, *, local: bool = False) -> None:
        """Take an address.

        Args:
            local: allows plain HTTP to this machine.

        Raises:
            ConfigError: it is not https; does not repeat it.
        """
        try:
            self._url = httpx.URL(url.strip())
        except httpx.InvalidURL:
            raise ConfigError("WHY504_ALERTS_PING_URL is no URL") from None
        here = local and self._url.host == "127.0.0.1"
        if not self._url.host or not (self._url.scheme == "https" or here):
            raise ConfigError("WHY504_ALERTS_PING_URL must be https://...")
        self._client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)
        # It logs each address that it asks.
        logging.getLogger("httpx").addFilter(self._is_not_in)

    def __enter__(self) -> Self:
        """Return itself; leaving closes the connections."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()
        logging.getLogger("httpx").removeFilter(self._is_not_in)

    def __repr__(self) -> str:
        """Return what may be shown."""
        return f"<watcher on {self._url.host}>"

    def ping(self) -> None:
        """Ask once; see `Watcher.ping`."""
        failure = ""
        try:
            # Whoever traces this process would keep the address in a span.
            with suppress_instrumentation():
                answer = self._client.get(self._url)
        except httpx.HTTPError as error:
            # The error's text and its chain hold the address: they must go no further.
            failure = f"{self._url.host} can't be reached: {type(error).__name__}"
        else:
            if not answer.is_success:
                failure = f"{self._url.host} answered {answer.status_code}"
        if failure:
            raise PingFailed(failure)

    def _is_not_in(self, record: logging.LogRecord) -> bool:
        return str(self._url) not in record.getMessage()
