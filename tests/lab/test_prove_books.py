"""The books of a proof must see every way in which a conversation can be lost or counted twice."""

import json

import psycopg
import pytest

from lab.prove.books import Books
from lab.prove.expected import INITIAL_SCORE, outcome
from lab.prove.night import body, write_users
from service.infrastructure.db.migrations import migrate

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

BODIES = [{**body(number), "user_id": f"night-{number % 2}"} for number in range(6)]
EXPECTED = {each["conversation_id"]: outcome(each) for each in BODIES}
RIGHT = {"lost": 0, "without_effect": 0, "wrong_effect": 0, "unasked": 0, "wrong_users": 0}


@pytest.fixture(scope="module")
def database(postgres):
    url = postgres.new_database()
    migrate(url)
    return url


@pytest.fixture
def connection(database):
    """A database in which everything took effect exactly once."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE friendship_status, conversation_event, conversation_score, outbox"
        )
        for each in BODIES:
            _take(connection, each)
        yield connection


def _take(connection, each):
    name, brought = each["conversation_id"], outcome(each)
    connection.execute(
        "INSERT INTO conversation_event"
        " (conversation_id, requested_id, user_id, log, body_hash, ended_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (name, name, brought.user_id, json.dumps(each["log"]), name, each["ended_at"]),
    )
    connection.execute(
        "INSERT INTO conversation_score"
        " (conversation_id, user_id, points, topic, emotion, questions, fallback)"
        " VALUES (%s, %s, %s, %s, %s, %s, false)",
        (
            name,
            brought.user_id,
            brought.points,
            brought.topic,
            brought.emotion,
            brought.questions,
        ),
    )
    connection.execute(
        "INSERT INTO friendship_status (user_id, score, initial_score, topic_metrics)"
        " VALUES (%(user)s, %(start)s::float + %(points)s::float, %(start)s,"
        " jsonb_build_object(%(topic)s::text, 1))"
        " ON CONFLICT (user_id) DO UPDATE SET score = friendship_status.score + %(points)s::float,"
        " topic_metrics = friendship_status.topic_metrics || jsonb_build_object(%(topic)s::text,"
        " coalesce((friendship_status.topic_metrics ->> %(topic)s::text)::int, 0) + 1)",
        {
            "user": brought.user_id,
            "start": INITIAL_SCORE,
            "points": brought.points,
            "topic": brought.topic,
        },
    )
    connection.execute(
        "INSERT INTO outbox (topic, payload, sent_at) VALUES ('conversation.ended', %s, now())",
        (json.dumps({"conversation_id": name}),),
    )


def differences(database):
    found = Books(database).differences(EXPECTED)
    return {name: getattr(found, name) for name in RIGHT if getattr(found, name) != RIGHT[name]}


def sums(database):
    books = Books(database)
    return books.count("scores that are no sum"), books.count("topics that are no sum")


def test_books_in_which_all_is_right_have_no_difference(connection, database):
    assert differences(database) == {}
    assert sums(database) == (0, 0)
    assert Books(database).count("stored twice") == Books(database).count("unsent") == 0


@pytest.mark.parametrize(
    ("mischief", "seen"),
    [
        (
            "DELETE FROM conversation_event WHERE conversation_id = 'night-000001'",
            {"lost": 1},
        ),
        (
            "DELETE FROM conversation_score WHERE conversation_id = 'night-000001'",
            {"without_effect": 1},
        ),
        (
            "UPDATE conversation_score SET points = points + 1"
            " WHERE conversation_id = 'night-000001'",
            {"wrong_effect": 1},
        ),
        (
            "UPDATE conversation_score SET fallback = true WHERE conversation_id = 'night-000001'",
            {"wrong_effect": 1},
        ),
        (
            "UPDATE conversation_score SET conversation_id = 'never-sent'"
            " WHERE conversation_id = 'night-000001'",
            {"without_effect": 1, "unasked": 1},
        ),
        (
            "UPDATE friendship_status SET score = score + 0.5 WHERE user_id = 'night-0'",
            {"wrong_users": 1},
        ),
        (
            "UPDATE friendship_status SET topic_metrics = topic_metrics || '{\"other\": 99}'",
            {"wrong_users": 2},
        ),
        ("DELETE FROM friendship_status", {"wrong_users": 2}),
    ],
)
def test_every_kind_of_mischief_is_seen(connection, database, mischief, seen):
    connection.execute(mischief)

    assert differences(database) == seen


def test_a_conversation_that_counted_twice_is_seen_although_its_ledger_entry_is_one(
    connection, database
):
    connection.execute(
        "UPDATE friendship_status SET score = score + (SELECT points FROM conversation_score"
        " WHERE conversation_id = 'night-000000')"
        " WHERE user_id = 'night-0'"
    )

    assert differences(database) == {"wrong_users": 1}
    assert sums(database) == (1, 0)


def test_a_conversation_that_was_stored_twice_is_seen(connection, database):
    connection.execute(
        "INSERT INTO conversation_event"
        " (conversation_id, requested_id, user_id, log, body_hash, ended_at)"
        " SELECT 'night-000001~1', requested_id, user_id, log, 'other', ended_at"
        " FROM conversation_event WHERE conversation_id = 'night-000001'"
    )

    assert Books(database).count("stored twice") == 1


def test_the_nights_users_are_consistent_before_the_job_begins(postgres):
    url = postgres.new_database()
    migrate(url)

    bodies = write_users(url, 40)

    books = Books(url)
    assert len({each["user_id"] for each in bodies}) == 40
    assert books.count("events") == 40
    assert sums(url) == (0, 0)
    assert 10 <= books.count("unscored") <= 30, "the others have a fallback"
    assert all(outcome(each).points != 0 for each in bodies)
