"""One run of a proof: where its files are, how long its phases last, whom it tells."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lab.prove.verdict import Journal


@dataclass(frozen=True, slots=True)
class Run:
    """A rehearsal goes through the same steps in seconds, and proves nothing."""

    folder: Path
    say: Journal
    rehearsal: bool
    stack: ExitStack
    """Ends whatever the run started."""
    fault: str = "F1"
    """A row of lab/faults.py, for proofs that hang the service in one way."""
    lasts_s: float | None = None
    """How long `hang` lasts, where it is not to be as long as usual."""

    def during(self, sentence: str, seconds: float) -> None:
        """Tell what the world is like now, and let it be so for a while."""
        self.say(f"{sentence}, {seconds:g} s")
        time.sleep(seconds)
