"""One proof from end to end, in seconds: the whole service, a job that is killed and resumed."""

from contextlib import ExitStack

import pytest

from lab.prove import nightly
from lab.prove.run import Run
from lab.prove.verdict import Journal
from lab.stack import rabbitmq, valkey

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.nginx,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("nginx_binary", "postgres_binaries"),
]
OF_SPEED = ("p99", "failed requests", "the job took", "clients sent late")
"""A rehearsal is too short, and a machine that runs tests too busy, to say anything of these."""


@pytest.fixture(scope="module")
def verdict(tmp_path_factory):
    if rabbitmq.find_binaries() is None or valkey.find_binary() is None:
        pytest.skip(f"{rabbitmq.HOW_TO_GET_IT}; {valkey.HOW_TO_GET_IT}")
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("prove")
        yield nightly.prove(Run(folder, Journal(), True, stack))


def test_a_job_that_is_killed_half_way_does_every_user_once(verdict):
    checks = [check for check in verdict.checks if not check.name.startswith(OF_SPEED)]

    assert [(check.name, check.measured) for check in checks if not check.passed] == []
    assert len(checks) >= 8
    assert 0 < verdict.facts["killed after users"] < nightly.REHEARSAL.users


def test_clients_were_answered_before_and_beside_the_job(verdict):
    phases = verdict.facts["phases"]

    assert list(phases) == [nightly.ALONE, nightly.BESIDE]
    assert all(phase["requests"] > 20 for phase in phases.values())
    assert all(set(phase["statuses"]) & {"200", "201"} for phase in phases.values())
