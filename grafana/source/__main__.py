"""Writes the dashboards' JSON: `python -m grafana.source [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from grafana.source import alerting, database, llm, messaging, why_504
from grafana.source.board import document

BOARDS: Final = (why_504.BOARD, database.BOARD, messaging.BOARD, llm.BOARD, alerting.BOARD)
FOLDER: Final = Path(__file__).parents[1] / "dashboards"


def main(folder: Path) -> None:
    """Write every dashboard, and remove what is none any more."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {folder / f"{board.uid}.json": board for board in BOARDS}
    for file in set(folder.glob("*.json")) - set(wanted):
        file.unlink()
    for file, board in wanted.items():
        file.write_text(document(board), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
