"""A process that can tell nothing is looked at from outside."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidence_by_hand import APP, Scene, at

from why504.diagnose.unheard import advice_on_silence
from why504.model import Evidence


def heard(until_s: float) -> Evidence:
    return replace(Scene(until_s=300).evidence(), heard_ns={APP: at(until_s)})


def test_who_fell_silent_may_hang_however_well_all_was_before():
    first, now, next_time = advice_on_silence(heard(200), 12, boxed=False)

    assert first == "Nothing was heard after 11:10:00 UTC."
    assert "why504 attach PID" in now
    assert "WHY504_BLACK_BOX" in next_time


@pytest.mark.parametrize(("until_s", "requests", "lines"), [(299, 12, 0), (299, 0, 2)])
def test_who_is_heard_of_hangs_unseen_only_where_no_request_is_told(until_s, requests, lines):
    assert len(advice_on_silence(heard(until_s), requests, boxed=False)) == lines


def test_a_store_that_does_not_say_when_it_heard_of_whom_is_not_taken_for_silence():
    evidence = replace(heard(200), heard_ns={})

    assert advice_on_silence(evidence, 12, boxed=False) == []
    assert len(advice_on_silence(evidence, 0, boxed=False)) == 2


def test_who_has_a_black_box_is_not_told_to_set_it():
    told = advice_on_silence(heard(200), 0, boxed=True)

    assert not any("WHY504_BLACK_BOX" in line for line in told)
