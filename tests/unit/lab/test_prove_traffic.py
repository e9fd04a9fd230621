import math

import pytest

from lab.load import Reply
from lab.prove import checks
from lab.prove.traffic import Course, Phase, failed
from lab.prove.verdict import Verdict


def reply(sent_s, *, latency_s=0.01, status=200, problem=""):
    return Reply("end", sent_s, latency_s, status, "", problem=problem)


COURSE = Course([Phase("healthy", 0, 10), Phase("broken", 10, 20), Phase("healthy", 20, 30)])


def test_a_reply_belongs_to_the_phase_in_which_it_was_sent():
    replies = [reply(9.99, latency_s=5), reply(10.0), reply(19.99), reply(20.0), reply(30.0)]

    assert [each.sent_s for each in COURSE.replies("broken", replies)] == [10.0, 19.99]
    assert [each.sent_s for each in COURSE.replies("healthy", replies)] == [9.99, 20.0]


def test_phases_of_one_name_are_told_once():
    assert COURSE.names == ["healthy", "broken"]


@pytest.mark.parametrize("status", [0, 302, 404, 429, 500, 503, 504])
def test_whatever_is_no_success_failed(status):
    assert failed([reply(0, status=status), reply(0, status=201)]) == [reply(0, status=status)]


@pytest.mark.parametrize(("slow_s", "passed"), [(0.019, True), (0.021, False)])
def test_slow_is_more_than_twice_the_healthy_percentile(slow_s, passed):
    healthy = [reply(n) for n in range(100)]

    check = checks.as_fast("broken", [reply(n, latency_s=slow_s) for n in range(100)], healthy)

    assert (check.passed, check.baseline) == (passed, 10.0)


def test_a_phase_without_replies_passes_no_check():
    assert not checks.as_fast("broken", [], [reply(0)]).passed
    assert not checks.as_fast("broken", [reply(0)], []).passed
    assert not checks.none_failed("broken", [], [reply(0)]).passed


def test_the_facts_tell_every_phase():
    verdict = Verdict("proof")
    replies = [reply(1), reply(11, status=503, problem="urn:problem:store-busy"), reply(21)]

    checks.told(verdict, COURSE, replies)

    phases = verdict.facts["phases"]
    assert phases["healthy"]["statuses"] == {"200": 2}
    assert phases["healthy"]["seconds"] == 20
    assert phases["broken"]["problems"] == {"urn:problem:store-busy": 1}
    assert not math.isnan(phases["broken"]["p99_ms"])
