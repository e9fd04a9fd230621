"""Which tracker `why504 alerts serve` opens tickets in, as the settings say."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Final

from why504.alerts.metrics import Ticketed
from why504.alerts.rooms.pace import Pace
from why504.alerts.tickets.files import Folder
from why504.alerts.tickets.github import GitHub
from why504.alerts.tickets.gitlab import GitLab
from why504.alerts.tickets.jira import Jira
from why504.alerts.tickets.ticketing import Ticketing
from why504.config import tracker_of

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from why504.alerts.kept.ledger import Ledger
    from why504.alerts.tickets.port import Tickets
    from why504.config import AlertSettings
    from why504.probe.clock import Clock

_GITHUB: Final = "github.com"
_GITHUB_API: Final = "https://api.github.com"


def ticketing_of(
    ledger: Ledger, settings: AlertSettings, clock: Clock, registry: CollectorRegistry
) -> Ticketing | None:
    """Return what opens tickets; None if no tracker is set.

    Raises:
        ConfigError: what the tracker needs is missing.
    """
    if not settings.tickets:
        return None
    pace = Pace(random.Random())  # noqa: S311 - jitter, no secret
    return Ticketing(
        ledger, tickets_of(settings), pace, clock, Ticketed(registry), language=settings.language
    )


def tickets_of(settings: AlertSettings) -> Tickets:
    """Return the tracker that is set; raises as `ticketing_of` does."""
    kind, host, project = tracker_of(settings.tickets)
    if kind == "files":
        return Folder(Path(project))
    local = settings.local_chat and host.startswith("127.0.0.1:")
    url = f"http://{host}" if local else f"https://{host}"
    token = settings.tickets_secret()
    if kind == "gitlab":
        return GitLab(url, project, token)
    if kind == "jira":
        return Jira(url, project, settings.tickets_owner(), token)
    return GitHub(_GITHUB_API if host == _GITHUB else f"{url}/api/v3", project, token)
