"""What stands between a service and whoever is on call: Prometheus, Alertmanager, router, room."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from lab.stack.alertmanager import Alertmanager
from lab.stack.googlechat import GoogleChat
from lab.stack.prometheus import Prometheus
from lab.stack.router import Router

SERVICE, RELAY, WORKER = "127.0.0.1:9464", "127.0.0.1:9470", "127.0.0.1:9471"
RECEIVER: Final = "127.0.0.1:4318"
_ROUTER: Final = "127.0.0.1:9504"
"""All as in otel/prometheus.yml."""
_CAUSE: Final = re.compile(r"Cause (?:· )?([A-Z]\d[a-z]?)\b")


@dataclass(frozen=True, slots=True)
class OnCall:
    """The real programs with the repository's own configuration, and a stand-in for Google Chat."""

    room: GoogleChat
    prometheus: Prometheus
    router: str
    """Its `host:port`."""

    @classmethod
    def begin(cls, folder: Path, store: Path, targets: Mapping[str, str], stack: ExitStack) -> Self:
        """Start everything; `stack` ends it.

        Args:
            store: evidence, by which P0s are explained.
            targets: address in otel/prometheus.yml -> the lab's.

        Raises:
            LabError: a part is not installed, or did not start.
        """
        room = stack.enter_context(GoogleChat.start(folder / "chat"))
        router = stack.enter_context(
            Router.start(folder / "router", room.webhook("on-call"), store)
        )
        alertmanager = stack.enter_context(Alertmanager.start(folder / "alertmanager", router.url))
        prometheus = Prometheus.start(
            folder / "prometheus",
            {**targets, _ROUTER: router.address},
            urlsplit(alertmanager.url).netloc,
        )
        return cls(room, stack.enter_context(prometheus), router.address)

    def cards(self, level: str) -> list[dict[str, Any]]:
        """Return the messages of a level, the oldest first."""
        return [one for one in self.room.messages() if f"{level} · " in one["text"]]


def cause_in(message: Mapping[str, Any]) -> str:
    """Return the cause that a card names; empty if it names none."""
    found = _CAUSE.search(json.dumps(message, ensure_ascii=False))
    return found[1] if found else ""
