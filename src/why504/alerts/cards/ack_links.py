"""Links by which on-call acknowledges: signed, so that nobody else can, and good for a week."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from why504.alerts.alert import Level
from why504.alerts.kept.message import Unsent

GOOD_FOR_S: Final = 7 * 24 * 3600
_MOST: Final = 80
"""Incidents of a link: with more it would be longer than a button's may be."""
_BETWEEN: Final = "."


@dataclass(frozen=True, slots=True)
class AckLinks:
    """Makes links and checks them; makes none without an address."""

    public_url: str = ""
    """Under which people reach the router."""
    key: bytes = field(default=b"", repr=False)

    def of(self, told: Sequence[Unsent]) -> list[str]:
        """Return links that acknowledge the P0 incidents that burn among some changes."""
        burn = [one for one in told if one.live and one.incident_level is Level.P0]
        keys = list(dict.fromkeys(one.incident for one in burn))
        latest_ns = max((one.change.taken_ns for one in burn), default=0)
        parts = [keys[first : first + _MOST] for first in range(0, len(keys), _MOST)]
        return [link for part in parts if (link := self.to(part, latest_ns))]

    def to(self, incidents: Sequence[str], now_ns: int) -> str:
        """Return the link that acknowledges some incidents; empty without an address."""
        if not self.public_url:
            return ""
        named, until = _BETWEEN.join(incidents), str(now_ns // 10**9 + GOOD_FOR_S)
        signature = self._signature(named, until)
        return f"{self.public_url}/ack/{named}?until={until}&signature={signature}"

    def incidents(self, named: str, until: str, signature: str, now_ns: int) -> list[str]:
        """Return what a link acknowledges; nothing if it is not ours, or too old."""
        told = signature.encode("utf-8", "replace")
        if not hmac.compare_digest(told, self._signature(named, until).encode()):
            return []
        return named.split(_BETWEEN) if now_ns <= int(until) * 10**9 else []

    def _signature(self, named: str, until: str) -> str:
        told = f"{named}\n{until}".encode("utf-8", "replace")
        return hmac.digest(self.key, told, "sha256").hex()
