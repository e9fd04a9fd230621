"""The outbox in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class FakeOutboxStore:
    def __init__(self, rows: list[tuple[str, dict[str, Any]]]) -> None:
        self._rows = rows

    async def add(self, topic: str, payload: Mapping[str, Any]) -> None:
        self._rows.append((topic, dict(payload)))
