"""The ladder of timeouts of a running deployment, kept for when it is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from lab.deployment import Deployment
from why504.doctor.draw import as_json
from why504.doctor.sources import from_postgres, from_probe, without_defaults
from why504.errors import Why504Error
from why504.ladder.examine import Ladder, examine
from why504.watch.nginxconf import gateway_limits

LADDER: Final = "ladder.json"
"""File in the folder of a run: what `why504 doctor --json` prints while the service runs."""


def write_ladder(deployed: Deployment) -> None:
    """Write `ladder.json`; nothing where a limit can't be read, for the run goes on without it."""
    try:
        told = from_probe(f"http://{deployed.metrics_address}")
        told += gateway_limits(deployed.folder / "nginx" / "nginx.conf")
        server, room = from_postgres(deployed.world.database_url)
    except Why504Error:
        return
    ladder = Ladder(without_defaults(told, server), server_connections=room)
    document = json.dumps(as_json(examine(ladder)), indent=2)
    (deployed.folder / LADDER).write_text(document, encoding="utf-8")


def ladder_in(folder: Path) -> Path | None:
    """Return the file that `write_ladder` wrote there, if it did."""
    return folder / LADDER if (folder / LADDER).is_file() else None
