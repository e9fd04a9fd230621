"""The command line of why504 with hours of half a minute: digests come while a benchmark runs.

Nothing else differs from `why504`.
"""

from __future__ import annotations

from typing import Final

from why504.alerts.cards import digest
from why504.cli import app

HOUR_S: Final = 30

if __name__ == "__main__":
    digest.HOUR_NS = HOUR_S * 10**9  # type: ignore[misc]
    app()
