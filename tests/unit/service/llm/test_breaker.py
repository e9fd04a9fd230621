from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from service.infrastructure.breaker import Breaker, BreakerOpen, BreakerState
from service.infrastructure.breaker_metrics import BreakerMetrics


class World:
    """A breaker of 5 failures and 60 s, its time, and what it said of itself."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.told: list[BreakerState] = []
        self.breaker = Breaker(
            failures=5, open_s=60, on_change=self.told.append, clock=lambda: self.now_s
        )

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(OSError), self.breaker.call():
                raise OSError

    def succeed(self) -> None:
        with self.breaker.call():
            pass

    def refused(self) -> bool:
        try:
            self.succeed()
        except BreakerOpen:
            return True
        return False


def test_five_failures_in_a_row_open_it_and_four_do_not():
    world = World()
    world.fail(4)
    world.succeed()
    world.fail(4)
    assert world.breaker.state is BreakerState.CLOSED

    world.fail()

    assert world.told == [BreakerState.OPEN]
    assert world.refused()


def test_after_a_minute_one_probe_goes_through_while_others_are_refused():
    world = World()
    world.fail(5)
    world.now_s += 59.9
    assert world.refused()
    world.now_s += 0.1

    with world.breaker.call():
        refused_meanwhile = [world.refused() for _ in range(10)]

    assert refused_meanwhile == [True] * 10
    assert world.told == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]


def test_a_probe_that_fails_opens_it_for_another_minute():
    world = World()
    world.fail(5)
    world.now_s += 60
    world.fail()
    world.now_s += 59
    assert world.refused()

    world.now_s += 1

    assert not world.refused()


def test_a_cancelled_probe_is_neither_failure_nor_success_and_leaves_its_turn():
    world = World()
    world.fail(5)
    world.now_s += 60
    with pytest.raises(asyncio.CancelledError), world.breaker.call():
        raise asyncio.CancelledError
    assert world.breaker.state is BreakerState.HALF_OPEN

    world.succeed()

    assert world.breaker.state is BreakerState.CLOSED


def test_a_cancelled_call_does_not_interrupt_a_row_of_failures():
    world = World()
    world.fail(4)
    with pytest.raises(asyncio.CancelledError), world.breaker.call():
        raise asyncio.CancelledError

    world.fail()

    assert world.breaker.state is BreakerState.OPEN


@pytest.mark.parametrize("late", ["success", "failure", "cancelled"])
def test_what_began_before_it_opened_decides_nothing_about_the_probe(late):
    world = World()
    straggler = world.breaker.call()
    straggler.__enter__()
    world.fail(5)
    world.now_s += 60
    with world.breaker.call():
        error = {"failure": OSError(), "cancelled": asyncio.CancelledError()}.get(late)
        straggler.__exit__(type(error) if error else None, error, None)
        state_during_probe = world.breaker.state
        refused = world.refused()

    assert (state_during_probe, refused) == (BreakerState.HALF_OPEN, True)


def test_an_error_that_does_not_count_is_an_answer():
    world = World()
    world.fail(4)
    with pytest.raises(ValueError), world.breaker.call(lambda e: not isinstance(e, ValueError)):
        raise ValueError

    world.fail(4)

    assert world.breaker.state is BreakerState.CLOSED


@given(st.lists(st.sampled_from(["fail", "succeed", "cancel", "tick"]), max_size=60))
def test_however_calls_end_it_refuses_only_while_open_and_always_comes_back(ends):
    world = World()
    for end in ends:
        if end == "tick":
            world.now_s += 25
            continue
        open_before = world.breaker.state is BreakerState.OPEN
        error = {"fail": OSError, "cancel": asyncio.CancelledError}.get(end)
        try:
            with world.breaker.call():
                assert not open_before
                if error:
                    raise error
        except BreakerOpen:
            assert open_before
        except (OSError, asyncio.CancelledError):
            pass

    world.now_s += 60
    assert not world.refused()
    assert world.breaker.state is BreakerState.CLOSED


def test_its_state_is_a_metric_and_every_transition_is_counted_from_zero():
    registry = CollectorRegistry()
    metrics = BreakerMetrics(registry, prefix="llm", provider="groq")
    provider = {"provider": "groq"}
    opened = ("llm_breaker_transitions_total", provider | {"state": "open"})
    assert registry.get_sample_value(*opened) == 0
    assert registry.get_sample_value("llm_breaker_state", provider) == 0

    metrics.changed(BreakerState.OPEN)

    assert registry.get_sample_value(*opened) == 1
    assert registry.get_sample_value("llm_breaker_state", provider) == 2
