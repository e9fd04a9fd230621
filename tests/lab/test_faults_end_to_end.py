"""Every fault on the real stack: PostgreSQL, nginx, uvicorn, receiver, load. Half a minute each."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from lab.faults import FAULTS, ROOT, fault
from lab.matrix.template import make_template
from lab.peers import RABBITMQ
from lab.score import expected

pytestmark = [
    pytest.mark.fault,
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.nginx,
    pytest.mark.timeout(400),
    pytest.mark.usefixtures("nginx_binary", "postgres_binaries"),
]
AT_ONCE = 2
"""A run mostly waits for timeouts: two of them fit two cores."""


@pytest.fixture(autouse=True)
def _what_the_row_needs(request, row):
    """Skip what this machine can't run, with what to install; in CI that is a failure."""
    if RABBITMQ in row.needs:
        request.getfixturevalue("rabbitmq_binaries")


def marked(row):
    """Return the row as a parameter, marked with the server that not every machine has."""
    return pytest.param(
        row, id=row.id, marks=[pytest.mark.rabbitmq] if RABBITMQ in row.needs else []
    )


def demonstrated(row, folder):
    """Run the demo of a fault as a machine would, and return its one document."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    argv = [sys.executable, "-m", "lab.demo", row.id, "--json", "--folder", str(folder / row.id)]
    demo = subprocess.run(
        [*argv, "--template", str(folder / "template" / "data")],
        env={**os.environ, "PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert demo.stdout.startswith("{"), demo.stderr
    return json.loads(demo.stdout)


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory):
    """The outcome of every chosen fault, by id; later ones run while earlier ones are judged.

    What needs the machine alone runs last, with nothing beside.
    """
    folder = tmp_path_factory.mktemp("faults")
    make_template(folder / "template")
    items = (item for item in request.session.items if item.path == request.path)
    rows = [item.callspec.params["row"] for item in items]
    with ThreadPoolExecutor(AT_ONCE) as beside, ThreadPoolExecutor(1) as alone:
        running = {
            row.id: beside.submit(demonstrated, row, folder) for row in rows if not row.alone
        }
        others = list(running.values())

        def after_the_others(row):
            wait(others)
            return demonstrated(row, folder)

        running |= {row.id: alone.submit(after_the_others, row) for row in rows if row.alone}
        yield lambda row: running[row.id].result()


@pytest.mark.parametrize(
    "row", [marked(row) for row in sorted(FAULTS, key=lambda r: r.alone) if row.trigger != "N0"]
)
def test_a_fault_is_named_with_its_line_and_no_504_is_missed(row, outcomes):
    wanted = expected(row)

    seen = outcomes(row)

    assert (seen["trigger"], seen["mechanism"]) == (wanted.trigger, wanted.mechanism)
    assert wanted.site is None or seen["site"] == wanted.site
    assert seen["gateway_504"] == seen["client_504"] > 10
    assert seen["explained"] + seen["unknown"] == seen["victims"] == seen["gateway_504"]
    assert seen["explained"] > 0.9 * seen["victims"]
    assert seen["blame_in_s"] == pytest.approx(seen["blame_out_s"], abs=1e-6)
    assert seen["blame_in_s"] > 3.9 * seen["victims"]
    assert seen["seconds_first_504_to_verdict"] < 10
    assert seen["correct"], seen["problems"]


@pytest.mark.parametrize("row", [fault("N0")], ids=lambda r: r.id)
def test_the_control_blames_nothing_although_clients_hang_up(row, outcomes):
    seen = outcomes(row)

    assert seen["incidents"] == []
    assert seen["statuses"]["0"] > 3, "clients that hung up"
    assert seen["statuses"]["200"] > 100
    assert seen["gateway_504"] == 0
    assert seen["correct"], seen["problems"]
