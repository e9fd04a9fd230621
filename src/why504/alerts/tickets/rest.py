"""A tracker's REST API. Whoever knows its token may write: it is a secret.

What a status means: 400, 413 and 422 are about this text; all others may pass, and those of a
wrong token or project (401, 403, 404) do so when somebody mends the setting.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import httpx
from opentelemetry.instrumentation.utils import suppress_instrumentation

from why504.alerts.cards.text import plain
from why504.errors import ConfigError, TicketBusy, TicketRefused

TIMEOUT_S: Final = 10.0
GONE: Final = frozenset({404, 410})
"""Of a ticket that was there: somebody deleted it."""
_BAD_TEXT: Final = frozenset({400, 413, 422})
_PAGE: Final = 100
_MOST_PAGES: Final = 10
_SETTINGS_AGAIN_S: Final = 60.0
"""GitHub wants a minute of rest after a 403 or 429; and no setting is mended sooner."""
_LONGEST_S: Final = 3600.0
_EARLIER_S: Final = 3600
_TOLD: Final = 200
"""Characters of an error that are kept."""


class Api:
    """Where requests go, and as whom. Neither `repr` nor an error shows the token."""

    def __init__(
        self, url: str, authorization: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Take an address without a path at its end.

        Raises:
            ConfigError: it is neither https nor on this machine.
        """
        parts = httpx.URL(url)
        if parts.scheme != "https" and parts.host != "127.0.0.1":
            raise ConfigError(f"the tracker on {parts.host} must be asked over https")
        self._url = url
        self._host = parts.host
        # Not a dict: these show no authorization in their repr.
        self._headers = httpx.Headers({**headers, "authorization": authorization})

    def get(self, path: str, *, refused: Collection[int] = (), **query: str | int) -> Any:
        """Return what is there, as JSON.

        Raises:
            TicketBusy: not now.
            TicketRefused: the status is one of `refused`.
        """
        return self._ask("GET", path, refused, params=query)

    def pages(
        self, path: str, *, refused: Collection[int] = (), **query: str | int
    ) -> Iterator[Any]:
        """Yield what is listed there, page after page; raises as `get` does."""
        for page in range(1, _MOST_PAGES + 1):
            told = self.get(path, refused=refused, **query, per_page=_PAGE, page=page)
            yield from told
            if len(told) < _PAGE:
                return

    def post(self, path: str, body: Mapping[str, Any], refused: Collection[int] = ()) -> Any:
        """Create something and return it; raises as `get`, and what says that the text is bad."""
        return self._ask("POST", path, {*_BAD_TEXT, *refused}, json=body)

    def _ask(self, method: str, path: str, refused: Collection[int], **told: Any) -> Any:
        failure = ""
        try:
            # Whoever traces this process need not see it.
            with suppress_instrumentation():
                answer = httpx.request(
                    method, f"{self._url}{path}", headers=self._headers,
                    timeout=TIMEOUT_S, follow_redirects=False, **told,
                )  # fmt: skip
            document = answer.json() if answer.is_success else None
        except httpx.HTTPError as error:
            # The error's chain holds the request with its headers: it must go no further.
            failure = f"{self._host} can't be reached: {type(error).__name__}"
        except ValueError:
            failure = f"{self._host} answered something else than JSON"
        if failure:
            raise TicketBusy(failure)
        if answer.is_success:
            return document
        said = f"{self._host} answered {answer.status_code}: {self._reason(answer)}"
        if answer.status_code in refused:
            raise TicketRefused(said)
        raise TicketBusy(said, _after_s(answer))

    def _reason(self, answer: httpx.Response) -> str:
        token = self._headers["authorization"].split()[-1]
        return "no reason" if token in answer.text else plain(answer.text, _TOLD)


def earlier(time_ns: int) -> str:
    """Return a time, a little earlier because clocks differ, as trackers write it."""
    seconds = max(0, time_ns // 10**9 - _EARLIER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _after_s(answer: httpx.Response) -> float:
    """Return for how long not to ask again: as told, else a while if the fault may be ours."""
    told = answer.headers.get("retry-after", "")
    if told.isascii() and told.isdigit():
        return min(float(told), _LONGEST_S)
    return 0.0 if answer.is_server_error else _SETTINGS_AGAIN_S
