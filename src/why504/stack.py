"""Where the folders beside `src` are: in a checkout, else as data in the installed wheel."""

from __future__ import annotations

from pathlib import Path

from why504.errors import ConfigError


def folder() -> Path:
    """Return the folder that holds `service/`, `lab/`, `dashboards/`, `otel/`, `alerts/` and so on.

    Raises:
        ConfigError: neither is there.
    """
    here = Path(__file__).resolve()
    # The checkout first: an editable install leaves a stale copy in the wheel's place.
    for candidate in (here.parents[2], here.parent / "_stack"):
        if (candidate / "lab" / "demo.py").is_file():
            return candidate
    raise ConfigError("the lab is missing: run from a checkout, or reinstall why504")
