from __future__ import annotations

from service.application.suggest_activities import SuggestActivities
from service.domain.activities import PromptKind, PromptTemplate
from service.domain.friendship import FriendshipStatus
from tests.unit.service.fakes.prompt_store import Prompt
from tests.unit.service.fakes.unit_of_work import FakeDatabase


def prompt(number: int, kind: PromptKind, tag: str = "t", topic: str | None = None, **more):
    name = f"{kind}-{number}"
    return Prompt(PromptTemplate(number, kind, name, tag, topic, f"body of {name}"), **more)


PROMPTS = [
    prompt(1, PromptKind.DEFAULT),
    prompt(2, PromptKind.REVIEW),
    prompt(3, PromptKind.REVIEW, level=3),
    prompt(4, PromptKind.WRAP_UP),
    prompt(5, PromptKind.PERSONA, phase="greeting"),
    prompt(6, PromptKind.GUIDE, "ice"),
    prompt(10, PromptKind.AGENT, "ice", phase="greeting"),
    prompt(11, PromptKind.AGENT, "ice", phase="greeting"),
    prompt(12, PromptKind.AGENT, "ice", phase="greeting"),
    prompt(20, PromptKind.AGENT, "x", "sleep", level=2, category="daily_life"),
    prompt(21, PromptKind.AGENT, "x", "music", level=2, category="interests"),
    prompt(22, PromptKind.AGENT, "x", "work", level=2, category="daily_life"),
    prompt(23, PromptKind.AGENT, "x", "films", level=2, category="interests"),
    prompt(30, PromptKind.AGENT, "x", "fears", level=3, category="inner_life"),
]


def ids(templates) -> list[int]:
    return [template.template_id for template in templates]


async def test_a_new_user_gets_agents_of_the_first_phase_and_a_status():
    database = FakeDatabase(prompts=PROMPTS)

    found = await SuggestActivities(database.begin_work)("u1")

    assert found.status.level == 1
    assert ids(found.agents) == [10, 11]
    assert ids(found.backups) == [12]
    assert ids([found.default, found.review, found.wrap_up, found.persona]) == [1, 2, 4, 5]
    assert found.guides == {"ice": "body of GUIDE-6"}
    assert database.statuses == {"u1": FriendshipStatus("u1", suggestions=1)}


async def test_the_next_call_turns_the_choice():
    database = FakeDatabase(prompts=PROMPTS)
    suggest = SuggestActivities(database.begin_work)

    firsts = [(await suggest("u1")).agents[0].template_id for _ in range(4)]

    assert firsts == [10, 11, 12, 10]


async def test_from_level_two_on_the_least_talked_about_topics_decide():
    visits = {"sleep": 3, "music": 1, "work": 1, "films": 1}
    status = FriendshipStatus("u1", 120.0, visits)
    database = FakeDatabase(prompts=PROMPTS, statuses={"u1": status})

    found = await SuggestActivities(database.begin_work)("u1")

    assert set(ids(found.agents)) == {21, 22, 23}
    assert found.persona is None


async def test_level_three_has_agents_and_a_review_that_lower_levels_have_not():
    status = FriendshipStatus("u1", 600.0)
    database = FakeDatabase(prompts=PROMPTS, statuses={"u1": status})

    found = await SuggestActivities(database.begin_work)("u1")

    assert 30 in ids(found.agents)
    assert found.review is not None
    assert found.review.template_id == 3


async def test_no_agent_is_both_candidate_and_backup():
    for score in (0.0, 120.0, 600.0):
        statuses = {"u1": FriendshipStatus("u1", score)}
        database = FakeDatabase(prompts=PROMPTS, statuses=statuses)

        found = await SuggestActivities(database.begin_work)("u1")

        assert not set(ids(found.agents)) & set(ids(found.backups))


async def test_an_empty_table_of_prompts_gives_an_empty_suggestion():
    found = await SuggestActivities(FakeDatabase().begin_work)("u1")

    assert (found.agents, found.backups, found.default) == ((), (), None)
