"""Which version of the checkout something was done with."""

from __future__ import annotations

import os
import subprocess
from typing import Final

from lab.faults import ROOT

UNKNOWN: Final = "unknown"
_COUNTS: Final = ("src", "service", "lab", "otel", "requirements.lock")
"""What can change a run or its score; documents can't."""


def commit() -> str:
    """Return the short commit, with a `+` if files differ from it; `unknown` outside of git."""
    head = _git("rev-parse", "--short", "HEAD")
    return f"{head}{'+' if _git('status', '--porcelain', '--', *_COUNTS) else ''}" or UNKNOWN


def _git(*arguments: str) -> str:
    """Return what git says, or nothing."""
    # An installed wheel may lie in somebody else's checkout.
    here = {**os.environ, "GIT_CEILING_DIRECTORIES": str(ROOT.parent)}
    try:
        said = subprocess.run(
            ["git", *arguments], cwd=ROOT, env=here, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""
