from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

pytestmark = pytest.mark.postgres

SUGGEST = "/v1/activities/suggest"
NEW_STATUS = "INSERT INTO friendship_status (user_id, score, topic_metrics) VALUES (%s, %s, %s)"


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect what is sent to any database meanwhile."""
    seen: list[str] = []

    def sent(connection, cursor, statement, *_) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", sent)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", sent)


def names(agents) -> list[str]:
    return [agent["name"] for agent in agents]


async def test_a_new_user_is_made_and_gets_agents_of_the_first_phase(client, rows):
    answer = await client.post(SUGGEST, json={"user_id": "u1"})

    assert answer.status_code == 200
    found = answer.json()
    assert (found["level"], found["score"]) == (1, 0.0)
    assert names(found["agents"]) == ["names", "weather"]
    assert names(found["backups"]) == ["hobbies", "home-town"]
    assert names([found["default"], found["review"], found["wrap_up"]]) == [
        "free-talk",
        "look-back",
        "good-night",
    ]
    assert found["persona"] == "A polite, curious stranger."
    assert all(agent["guide"] for agent in found["agents"])
    assert rows("SELECT user_id, score, suggestions FROM friendship_status") == [
        {"user_id": "u1", "score": 0.0, "suggestions": 1}
    ]


async def test_from_level_two_on_least_visited_topics_decide(client, rows):
    rows(NEW_STATUS, "u2", 150, '{"sleep": 5, "work": 4, "cooking": 3}')

    found = (await client.post(SUGGEST, json={"user_id": "u2"})).json()

    assert found["level"] == 2
    assert set(names(found["agents"])) == {"music", "films", "riddles"}


async def test_level_three_reaches_topics_and_a_review_of_its_own(client, rows):
    daily = '{"sleep": 5, "work": 4, "cooking": 3, "music": 1, "films": 1, "riddles": 1}'
    rows(NEW_STATUS, "u3", 600, daily)

    found = (await client.post(SUGGEST, json={"user_id": "u3"})).json()

    assert found["level"] == 3
    assert {"fears", "values", "future"} < set(names(found["agents"]))
    assert found["review"]["name"] == "look-back-deep"


@pytest.mark.parametrize("score", [0, 150, 600])
async def test_a_suggestion_costs_eight_selects_and_one_update_whatever_the_level(
    client, rows, score
):
    rows(NEW_STATUS, "u1", score, "{}")
    await client.post(SUGGEST, json={"user_id": "warm-up"})

    with statements() as seen:
        await client.post(SUGGEST, json={"user_id": "u1"})

    kinds = [statement.split()[0] for statement in seen]
    assert kinds == ["SELECT"] * 8 + ["UPDATE"]
    assert "FOR UPDATE" in seen[0]


async def test_a_suggestion_for_a_new_user_costs_one_insert_more(client):
    await client.post(SUGGEST, json={"user_id": "warm-up"})

    with statements() as seen:
        await client.post(SUGGEST, json={"user_id": "u1"})

    kinds = [statement.split()[0] for statement in seen]
    assert kinds == ["SELECT", "INSERT", *["SELECT"] * 7, "UPDATE"]


async def test_calls_at_once_for_a_new_user_make_one_status_and_take_turns(client, rows):
    answers = await asyncio.gather(
        *(client.post(SUGGEST, json={"user_id": "u1"}) for _ in range(20))
    )

    assert {answer.status_code for answer in answers} == {200}
    firsts = [answer.json()["agents"][0]["name"] for answer in answers]
    assert sorted(firsts) == ["names"] * 10 + ["weather"] * 10
    assert rows("SELECT suggestions FROM friendship_status") == [{"suggestions": 20}]


@pytest.mark.parametrize("user_id", ["", "a\0b", "x" * 201, None, 5, "a b"])
async def test_a_user_that_can_not_be_is_refused(client, user_id):
    answer = await client.post(SUGGEST, json={"user_id": user_id})

    assert answer.status_code == 422
