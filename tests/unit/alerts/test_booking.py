"""Many alerts in one request are taken as if each had come alone."""

from __future__ import annotations

import pytest
from alerts_by_hand import Router, alert, at
from hypothesis import given, settings
from hypothesis import strategies as st

from why504.alerts.alert import Level
from why504.alerts.kept.ledger import Ledger

TOLD = st.lists(
    st.builds(
        lambda name, severity, service, start_s, end: alert(
            name, severity, service, start_s=start_s, end_s=start_s + 5 if end else None
        ),
        st.sampled_from("AB"), st.sampled_from(["p0", "p1", "p2", "none"]),
        st.sampled_from(["shop", "pay"]), st.sampled_from([1, 2, 3]), st.booleans(),
    ),
    max_size=12,
)  # fmt: skip


@given(TOLD)
@settings(max_examples=60, deadline=None)
def test_a_request_of_many_leaves_what_requests_of_one_leave(tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("ledgers")
    together, alone = Ledger(folder / "together"), Ledger(folder / "alone")

    new = together.take(told, [], at(10))

    assert new == sum(alone.take([one], [], at(10)) for one in told)
    for query in (
        "SELECT * FROM alerts ORDER BY fingerprint, starts_ns",
        "SELECT * FROM changes ORDER BY id",
        "SELECT * FROM incidents ORDER BY key",
    ):
        assert together._database.all(query) == alone._database.all(query)
    together.close()
    alone.close()


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path / "alerts.sqlite")


def test_more_alerts_than_a_statement_holds_are_taken(ledger):
    told = [alert(service=f"shop-{n}") for n in range(350)]

    assert [ledger.take(told, [], at(1)), ledger.take(told, [], at(2))] == [350, 0]
    assert len(ledger.unsent()) == 350


def test_what_is_told_again_burns_on(ledger):
    told = [alert(service=f"shop-{n}") for n in range(3)]
    ledger.take(told, [], at(0))
    ledger.take(told[:2], [], at(3 * 3600))

    assert ledger.expire(at(6 * 3600)) == 1


def test_what_is_known_already_costs_nothing(ledger):
    def steps() -> int:
        done = []
        connection = ledger._database._connection
        connection.set_progress_handler(lambda: done.append(1), 100)
        ledger.take([alert(service="shop-7"), alert(service="new")], [], at(2))
        connection.set_progress_handler(None, 0)
        return len(done)

    ledger.take([alert(service=f"shop-{n}") for n in range(100)], [], at(1))
    few = steps()
    ledger.take([alert("B", service=f"shop-{n}") for n in range(5000)], [], at(3))

    assert steps() < few + 20


def test_what_goes_on_is_not_hidden_behind_what_is_over(ledger):
    for n in range(1300):
        ledger.take([alert(service=f"old-{n}"), alert(service=f"old-{n}", end_s=9)], [], at(n))
    ledger.take([alert(service="burns")], [], at(9999))

    assert [one.service for one in ledger.unsent()] == ["burns"]


def test_what_is_over_and_more_urgent_comes_before_what_goes_on(ledger):
    ledger.take([alert(), alert(end_s=9), alert("LatencyP99High", "p1", "pay")], [], at(10))

    assert [one.level for one in ledger.unsent()] == [Level.P0, Level.P0, Level.P1]
    assert ledger.unsent(below=Level.P0) == []


def test_an_hour_of_very_many_is_told_in_more_than_one_digest(ledger, monkeypatch):
    monkeypatch.setattr("why504.alerts.kept.ledger.MOST_QUIET", 10)
    ledger.take([alert(severity="p2", service=f"shop-{n}") for n in range(25)], [], at(1))

    assert len(ledger.quiet(at(2))) == 10


def test_the_history_lists_every_alert_of_a_digest_that_only_counts_them(tmp_path):
    router = Router(tmp_path)
    told = [alert("LLMFallbackUsed", "p2", service=f"shop-{n}") for n in range(300)]
    router.take(*told)
    router.run(3700)

    (digest,) = router.ledger.history(5)

    assert "300 alerts" in digest.body
    assert [one.fingerprint for one in digest.told] == [one.fingerprint for one in told]
