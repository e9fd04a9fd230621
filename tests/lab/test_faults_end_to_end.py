"""Every fault on the real stack: PostgreSQL, nginx, uvicorn, receiver, load. Half a minute each."""

import pytest

from lab.faults import FAULTS
from lab.run import run
from lab.score import expected

pytestmark = [
    pytest.mark.fault,
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.nginx,
    pytest.mark.usefixtures("nginx_binary", "postgres"),
]


@pytest.mark.parametrize("row", [row for row in FAULTS if row.trigger != "N0"], ids=lambda r: r.id)
def test_a_fault_is_named_with_its_line_and_no_504_is_missed(row, tmp_path):
    wanted = expected(row)

    outcome = run(row.id, folder=tmp_path, seed=1)

    assert (outcome.trigger, outcome.mechanism) == (wanted.trigger, wanted.mechanism)
    assert wanted.site is None or outcome.site == wanted.site
    assert outcome.gateway_504 == outcome.client_504 > 10
    assert outcome.explained + outcome.unknown == outcome.victims == outcome.gateway_504
    assert outcome.explained > 0.9 * outcome.victims
    assert outcome.blame_in_s == pytest.approx(outcome.blame_out_s, abs=1e-6)
    assert outcome.blame_in_s > 3.9 * outcome.victims
    assert outcome.seconds_first_504_to_verdict is not None
    assert outcome.seconds_first_504_to_verdict < 10
    assert outcome.correct, outcome.problems


def test_the_control_blames_nothing_although_clients_hang_up(tmp_path):
    outcome = run("N0", folder=tmp_path, seed=1)

    assert not outcome.incidents
    assert outcome.statuses[0] > 3, "clients that hung up"
    assert outcome.statuses[200] > 100
    assert outcome.gateway_504 == 0
    assert outcome.correct, outcome.problems
