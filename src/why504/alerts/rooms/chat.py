"""Google Chat's incoming webhooks. Whoever knows their address may write: it is a secret.

Source: chat.v1 `spaces.messages.create`. One request a second and space; of a `requestId` one
message; errors are 400 (this message), 403 and 404 (this address), 429 and 5xx (not now), and now
and then a 401 without a reason.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from typing import Final, Protocol, Self

import httpx
from opentelemetry.instrumentation.utils import suppress_instrumentation

from why504.errors import ChatBusy, ChatForbidden, ChatRefused, ConfigError

CHAT_HOSTS: Final = frozenset({"chat.googleapis.com"})
TIMEOUT_S: Final = 10.0
_JSON: Final = {"content-type": "application/json; charset=UTF-8"}
_BAD_MESSAGE: Final = frozenset({400, 413})
_BAD_ADDRESS: Final = frozenset({401, 403, 404})
_TOLD: Final = 200
"""Characters of an error that are kept."""


class Address:
    """A webhook's address. Neither `repr` nor `str` nor an error shows more than its host."""

    __slots__ = ("_url",)

    def __init__(self, url: str, hosts: Collection[str] = CHAT_HOSTS) -> None:
        """Take an address.

        Raises:
            ConfigError: it is not https, or not on one of the hosts; does not repeat it.
        """
        try:
            self._url = httpx.URL(url.strip())
        except httpx.InvalidURL:
            raise ConfigError("the webhook's address is no URL") from None
        local = self._url.host in ("127.0.0.1", "localhost") and self._url.host in hosts
        if self._url.host not in hosts or not (self._url.scheme == "https" or local):
            raise ConfigError(
                f"the webhook's address must be https://{'|'.join(sorted(hosts))}/..."
            )

    @property
    def host(self) -> str:
        """Return the host, which is no secret."""
        return self._url.host

    def for_message(self, request_id: str) -> httpx.URL:
        """Return where to send a message so that of this id one is made, in its thread."""
        told = {
            "requestId": request_id,
            "messageReplyOption": "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD",
        }
        return self._url.copy_merge_params(told)

    def is_not_in(self, record: logging.LogRecord) -> bool:
        """Return whether a line of a log may be written: it has nothing of this address's query."""
        query = self._url.query.decode()
        return not query or query not in record.getMessage()

    def __repr__(self) -> str:
        """Return what may be shown."""
        return f"<webhook on {self.host}>"


class Room(Protocol):
    """Where messages go. Adapters: `GoogleChat`; a list in tests."""

    def send(self, body: str, request_id: str) -> None:
        """Return once the message is there.

        Raises:
            ChatBusy: the same message may be sent again, under the same id.
            ChatForbidden: so it may, but the address may not write.
            ChatRefused: this message will never be taken.
        """
        ...


class GoogleChat:
    """One space of Google Chat."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)
        # It logs each address that it asks, query and all.
        logging.getLogger("httpx").addFilter(address.is_not_in)

    def __enter__(self) -> Self:
        """Return itself; leaving closes the connections."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()
        logging.getLogger("httpx").removeFilter(self._address.is_not_in)

    def send(self, body: str, request_id: str) -> None:
        """Send a message; see `Room.send`."""
        failure = ""
        try:
            url = self._address.for_message(request_id)
            # Whoever traces this process would keep the address in a span.
            with suppress_instrumentation():
                answer = self._client.post(url, content=body.encode(), headers=_JSON)
        except httpx.HTTPError as error:
            # The error's text and its chain hold the address: they must go no further.
            failure = f"{self._address.host} can't be reached: {type(error).__name__}"
        if failure:
            raise ChatBusy(failure)
        if answer.is_success:
            return
        said = f"{self._address.host} answered {answer.status_code}: {_reason(answer)}"
        if answer.status_code in _BAD_MESSAGE:
            raise ChatRefused(said)
        raise ChatForbidden(said) if answer.status_code in _BAD_ADDRESS else ChatBusy(said)


class Printed:
    """A room that is nothing but text: to see what would be sent."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def send(self, body: str, request_id: str) -> None:
        """Write a message as JSON; see `Room.send`."""
        told = {"requestId": request_id, **json.loads(body)}
        self._write(json.dumps(told, indent=2, ensure_ascii=False))


def _reason(answer: httpx.Response) -> str:
    """Return the `status` of a Google error; never its text, which may repeat the address."""
    try:
        told = answer.json()["error"]["status"]
    except (ValueError, KeyError, TypeError):
        return "no reason"
    return "".join(char for char in str(told) if char.isalnum() or char == "_")[:_TOLD]
