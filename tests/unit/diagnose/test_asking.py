"""What anybody may ask of an incident, against systems of which everything is known."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engine import pool_scene
from test_replay import AROUND_S, LIMIT_S, Pool, earlier, leaking_scene, stalled_scene

from why504.diagnose import explain
from why504.diagnose.whatif.asking import Asker, Knob
from why504.errors import NotReplayable


def asker_of(scene) -> Asker:
    evidence = scene.evidence()
    [incident] = explain(evidence)
    return Asker(incident, evidence)


def knob(asker: Asker, kind: str) -> Knob:
    [found] = [one for one in asker.knobs if one.kind == kind]
    return found


def test_unchanged_everybody_times_out_all_the_same():
    asker = asker_of(earlier(pool_scene()))

    told = asker.what_if({})

    assert (told.victims, told.left, told.new, told.change) == (8, 8, 0, "")
    assert (asker.same, asker.requests) == (8, 8)


def test_what_was_tried_is_what_the_engine_tries():
    scene = earlier(pool_scene())

    [incident] = explain(scene.evidence(), what_if=True)

    assert asker_of(scene).tried == incident.replay.tried


def test_a_shorter_call_helps_and_says_how():
    asker = asker_of(earlier(pool_scene()))
    longest = knob(asker, "longest")

    told = asker.what_if({longest.id: 1.0})

    assert longest.what == "LLM groq llama"
    assert (longest.low, longest.was) == (0, longest.high)
    assert told.left == 0
    assert told.change == "LLM groq llama took at most 1 s"


def test_several_things_at_once_help_where_none_of_them_does_alone():
    asker = asker_of(earlier(pool_scene()))
    # Those who call take a little longer than the gateway waits, the others are let in then.
    shorter, patient = {knob(asker, "longest").id: 4.95}, {knob(asker, "patience").id: 6.0}

    assert asker.what_if(shorter).left == 2
    assert asker.what_if(patient).left == 8
    both = asker.what_if({**shorter, **patient})
    assert both.left == 0
    assert both.change == "LLM groq llama took at most 4.95 s and the gateway waited 6 s"


def test_a_gateway_that_waits_less_gives_up_on_others():
    pool = Pool(4, 2, 0.1)
    evidence = pool.scene().evidence()
    [incident] = explain(evidence)
    asker = Asker(incident, evidence)

    told = asker.what_if({knob(asker, "patience").id: LIMIT_S / 2})

    late = pool.late(2, limit_s=LIMIT_S / 2)
    assert told.left == told.victims == len(pool.late(2))
    assert told.new == len(late) - told.victims > 0


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6), units=st.integers(1, 3), more=st.integers(0, 4),
    longest_s=st.sampled_from([0.5, 1.0, 2.0, 3.0]),
)  # fmt: skip
def test_any_setting_says_exactly_who_would_have_been_late(seed, units, more, longest_s):
    pool = Pool(seed, units, 0.4)
    victims = pool.late(units)
    evidence = pool.scene().evidence()
    incidents = explain(evidence)
    if len(incidents) != 1 or incidents[0].count != len(victims):
        return
    asker = Asker(incidents[0], evidence)
    knobs = {one.kind: one for one in asker.knobs if one.kind in ("places", "longest")}
    wanted = {"places": units + more, "longest": longest_s}

    told = asker.what_if({one.id: wanted[kind] for kind, one in knobs.items()})

    now_units = units + more if "places" in knobs else units
    now_s = longest_s if "longest" in knobs else 1e9
    later, sooner = (pool.late(now_units, now_s, limit_s) for limit_s in AROUND_S)
    assert len(later & victims) <= told.left <= len(sooner & victims)
    assert len(later - victims) <= told.new <= len(sooner - victims)


def test_a_blocking_call_can_be_moved_off_the_loop():
    asker = asker_of(stalled_scene())
    elsewhere = knob(asker, "elsewhere")

    assert (elsewhere.low, elsewhere.high, elsewhere.was) == (0, 1, 0)
    assert asker.what_if({elsewhere.id: 1}).left == 1


def test_a_leak_can_be_mended():
    asker = asker_of(leaking_scene())

    assert asker.what_if({knob(asker, "longest").id: 0}).left == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, -1])
def test_settings_out_of_range_are_the_end_of_the_range(value):
    asker = asker_of(earlier(pool_scene()))
    for one in asker.knobs:
        nearest = one.was if math.isnan(value) else min(max(value, one.low), one.high)

        told = asker.what_if({one.id: value})

        assert told.left == asker.what_if({one.id: nearest}).left
    assert asker.what_if({"no such knob": value}).change == ""


def test_a_knob_keeps_its_name_and_has_some_steps():
    first, second = (asker_of(earlier(pool_scene())).knobs for _ in range(2))

    assert [one.id for one in first] == [one.id for one in second]
    assert len({one.id for one in first}) == len(first)
    for one in first:
        assert one.low <= one.was <= one.high
        assert 2 <= (one.high - one.low) / one.step <= 200


def test_where_nothing_can_be_said_it_says_why():
    scene = pool_scene()  # nobody was answered before: who knows what they had still to do
    [incident] = explain(scene.evidence())

    with pytest.raises(NotReplayable, match="no request is known to have been answered"):
        Asker(incident, scene.evidence())
