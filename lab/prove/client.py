"""Clients as a process of their own: `python -m lab.prove.client FOLDER`, an open-loop load.

Reads FOLDER/plan.json and appends each reply to FOLDER/replies.jsonl. SIGTERM: send no more, wait
for what is open. Beside the proof, not inside it: what the proof does must delay no request.
"""

from __future__ import annotations

import gc
import json
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, TextIO

from lab.load import Load, Plan, Reply, shots

PLAN: Final = "plan.json"
REPLIES: Final = "replies.jsonl"
WRITE_EVERY_S: Final = 0.2


def main(folder: Path) -> None:
    """Fire the plan of this folder."""
    given = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    planned = shots(Plan(given["rates"], given["duration_s"]), given["seed"])
    # Tens of thousands of bodies: collecting among them would look like a slow service.
    gc.freeze()
    told_to_finish = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_finish.set())
    with (folder / REPLIES).open("w", encoding="utf-8") as file:
        with Load(given["url"], planned, timeout_s=given["timeout_s"]) as load:
            written = 0
            while load.running:
                load.wait(WRITE_EVERY_S)
                if told_to_finish.is_set():
                    load.finish()
                written += _append(file, load.replies[written:])
        _append(file, load.replies[written:])


def _append(file: TextIO, replies: Sequence[Reply]) -> int:
    file.writelines(json.dumps(asdict(reply)) + "\n" for reply in replies)
    file.flush()
    return len(replies)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
