"""The incident as a file, to hand on: a part of the incident page."""

from __future__ import annotations

from pathlib import Path

from dashboards.visit import Visit
from why504.model import Incident


def section(visit: Visit, folder: Path, incident: Incident) -> None:
    """Draw it."""
