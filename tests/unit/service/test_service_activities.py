from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.activities import (
    RULES,
    PickBy,
    PromptKind,
    PromptTemplate,
    least_visited,
    phase_of,
    rotated,
)
from service.domain.friendship import LEVELS


def agent(number: int) -> PromptTemplate:
    return PromptTemplate(number, PromptKind.AGENT, f"agent-{number}", "tag", None, "body")


def test_every_level_has_a_rule():
    assert set(RULES) == {level for _, level in LEVELS}


def test_level_one_picks_by_phase_and_the_others_by_topic():
    assert {level: rule.pick_by for level, rule in RULES.items()} == {
        1: PickBy.PHASE,
        2: PickBy.TOPIC,
        3: PickBy.TOPIC,
    }


@pytest.mark.parametrize(
    ("score", "phase"),
    [(-1, "greeting"), (0, "greeting"), (20, "exploring"), (59.9, "exploring"), (1e9, "deepening")],
)
def test_a_phase_begins_at_its_score(score, phase):
    assert phase_of(score) == phase


@given(st.integers(0, 12), st.integers(0, 1000), st.integers(1, 6))
def test_a_rotation_names_each_agent_at_most_once_and_as_many_as_there_are(count, turn, limit):
    agents = [agent(number) for number in range(count)]

    chosen = rotated(agents, turn, limit)

    assert len(set(chosen)) == len(chosen) == min(limit, count)
    assert set(chosen) <= set(agents)


@given(st.integers(1, 12), st.integers(0, 1000))
def test_every_agent_comes_first_once_in_a_round(count, turn):
    agents = [agent(number) for number in range(count)]

    firsts = {rotated(agents, turn + step, 1)[0] for step in range(count)}

    assert firsts == set(agents)


@given(
    st.lists(st.sampled_from("abcdef"), max_size=10),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 5)),
    st.integers(1, 6),
)
def test_no_topic_left_out_was_visited_less_than_a_chosen_one(topics, visits, limit):
    chosen = least_visited(topics, visits, limit)

    left_out = set(topics) - set(chosen)
    assert len(chosen) == min(limit, len(set(topics)))
    assert all(visits.get(one, 0) <= visits.get(other, 0) for one in chosen for other in left_out)
