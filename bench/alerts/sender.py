"""A client as Alertmanager is: what was not answered is sent again, and so is what got a 5xx."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

from bench.alerts.scene import Told, telling

TIMEOUT_S: Final = 10.0
_AGAIN_S: Final = (0.1, 0.6)


class Sender(threading.Thread):
    """Sends payloads in their order, each until it is acknowledged."""

    def __init__(
        self, port: int, payloads: Iterable[list[Told]], chance: random.Random, *,
        per_s: float = 0.0,
    ) -> None:  # fmt: skip
        """Take what to send.

        Args:
            per_s: alerts a second; as fast as possible if 0.
        """
        super().__init__(daemon=True)
        self.acknowledged: dict[str, list[str]] = {}
        """Statuses that were answered 200, by fingerprint."""
        self.answers: Counter[str] = Counter()
        """How often which status, or `nobody`."""
        self.sent = 0
        self._payloads, self._chance, self._per_s = payloads, chance, per_s
        self._poster = Poster(port)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Send everything."""
        begun_s = time.monotonic()
        for payload in self._payloads:
            if self._per_s:
                self._stopping.wait(begun_s + self.sent / self._per_s - time.monotonic())
            while not self._stopping.is_set() and self._again(payload):
                self._stopping.wait(self._chance.uniform(*_AGAIN_S))
            self.sent += len(payload)
        self._poster.close()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopping.set()

    def _again(self, payload: list[Told]) -> bool:
        """Send once; return whether it has to be sent again."""
        status = self._poster.post({"version": "4", "alerts": payload})
        self.answers[str(status or "nobody")] += 1
        if status == 200:
            self._note(payload)
        # A 4xx is not repeated, as there.
        return status is None or status >= 500

    def _note(self, payload: Sequence[Told]) -> None:
        for told in payload:
            fingerprint, status = telling(told)
            statuses = self.acknowledged.setdefault(fingerprint, [])
            if status not in statuses:
                statuses.append(status)


class Poster:
    """One connection to a bridge, opened again whenever it broke; for one thread."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)

    def post(self, document: dict[str, Any] | bytes) -> int | None:
        """Return the status of the answer, None if nobody answered."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        try:
            self._connection.request(
                "POST", "/alertmanager", body, {"content-type": "application/json"}
            )
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            self._connection.close()
            return None
        return answer.status

    def put(self, document: dict[str, Any]) -> None:
        """Send until it is acknowledged: a bridge closes connections that are idle."""
        while self.post(document) != 200:
            time.sleep(_AGAIN_S[0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
