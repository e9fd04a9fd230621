"""A service that hangs on locks of its own, explained from its telemetry by the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.explained import Service, Stack, receiving

pytestmark = pytest.mark.timeout(300)
SERVICE = Service("named_locks")
NAMED = ("lock:", "limiter:")


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    with receiving(tmp_path_factory.mktemp("store"), SERVICE, {}) as stack:
        yield stack


@pytest.mark.slow
def test_a_lock_held_over_a_slow_call_is_that_call(stack):
    finding = stack.hang(["/model"] * 5, waits=4, waited_for=NAMED)

    assert (finding["cause"], finding["mechanism"]) == ("D1", "lock")
    assert finding["site"] == SERVICE.at("client.get", "ask_the_model")
    link = next(link for link in finding["chain"] if link["what"] == "waiting for the lock model")
    assert "held by 1 x GET /model" in link["evidence"][0]
    assert f"taken at {SERVICE.at('with model', 'ask_the_model')}" in link["evidence"][0]


@pytest.mark.slow
def test_the_places_of_a_semaphore_are_counted(stack):
    finding = stack.hang(["/gpu"] * 6, waits=4, waited_for=NAMED)

    assert (finding["cause"], finding["mechanism"]) == ("D1", "limiter")
    assert finding["site"] == SERVICE.at("client.get", "use_the_gpu")
    assert "a place of the limiter gpu (2 of 2 in use, 3 waiting)" in str(finding["chain"])
    assert "held by 2 x GET /gpu" in str(finding["chain"])


@pytest.mark.slow
def test_a_deadlock_of_two_locks_is_told_with_all_four_lines(stack):
    finding = stack.hang(["/order", "/restock"] * 2, waits=4, waited_for=NAMED)

    assert (finding["cause"], finding["mechanism"]) == ("UNKNOWN", "lock")
    assert finding["title"].startswith("A deadlock")
    for has, wants, function in (("orders", "stock", "order"), ("stock", "orders", "restock")):
        taken, wanted = SERVICE.at(f"with {has}", function), SERVICE.at(f"with {wants}", function)
        assert (
            f"who has lock:{has} (taken at {taken}) waits for lock:{wants} (at {wanted})"
            in finding["sentence"]
        )


@pytest.mark.slow
def test_a_loop_that_stands_at_a_lock_leads_on_to_the_thread_that_has_it(stack):
    finding = stack.hang(["/price"] * 2, waits=1, waited_for=NAMED)

    assert (finding["cause"], finding["mechanism"]) == ("B1", "loop")
    assert finding["site"] == SERVICE.at("with prices", "price")
    link = finding["chain"][-1]
    assert link["what"] == "waiting for the lock named_locks.prices"
    assert link["evidence"] == [
        "thread refresher outside any request has it, "
        f"taken at {SERVICE.at('with prices', 'refresh')}, "
        f"and is at {SERVICE.at('time.sleep', 'refresh')} now"
    ]
