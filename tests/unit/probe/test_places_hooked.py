"""`why504 run` on libraries as they are: what is hooked may be inherited, or not be there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import why504
from why504.probe import begin

PATHS = [Path(begin.__file__).with_name("path"), Path(why504.__file__).parents[1]]


def said_by(program: str, folder: Path) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("WHY504_")}
    env["PYTHONPATH"] = os.pathsep.join(map(str, [*PATHS, folder]))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_hypercorns_configuration_has_no_init_of_its_own_and_serves_all_the_same(tmp_path):
    program = """
import hypercorn.config
hypercorn.config.Config()
print("__init__" in vars(hypercorn.config.Config))
"""

    assert said_by(program, tmp_path) == "True\n"


def test_a_function_that_a_library_lacks_leaves_us_there_and_hides_no_later_failure(tmp_path):
    (tmp_path / "hypercorn").mkdir()
    (tmp_path / "hypercorn" / "__init__.py").touch()
    (tmp_path / "hypercorn" / "utils.py").touch()
    program = """
import hypercorn.utils
from why504.probe.begin import wiring
wiring._safely(lambda: 1 / 0)
"""

    assert said_by(program, tmp_path).splitlines() == [
        "why504: hypercorn.utils.wrap_app cannot be hooked: KeyError: 'wrap_app'",
        "why504: the program runs without us: ZeroDivisionError: division by zero",
    ]
