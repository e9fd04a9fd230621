"""PostgreSQL's files with the service's history in them, made once and copied for every run.

Making a cluster and importing the service to write its history would be a sixth of a run's CPU.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from lab.deployment import PYTHON, TEMPLATE_DATABASE
from lab.stack.postgres import Postgres
from lab.stack.process import Program, run


def make_template(folder: Path) -> Path:
    """Write the files below `folder` and return the folder that holds them.

    Raises:
        LabError: PostgreSQL did not start, or the history could not be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with Postgres.start(folder / "made") as server:
        argv = [sys.executable, "-m", "lab.history", server.new_database(TEMPLATE_DATABASE)]
        run(Program(argv, "history", folder, PYTHON))
        # Only the files of a server that has ended are whole.
        server.process.stop()
        shutil.copytree(server.data, folder / "data")
    return folder / "data"
