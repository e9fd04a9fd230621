"""The migrations make what the queries expect, and the fakes behave like the real stores."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import INVALID_SPAN, use_span
from sqlalchemy import NullPool, create_engine, inspect

from service.application.ports.nightly_log import NightlyRun
from service.application.settings import Settings
from service.domain.activities import RULES, PromptKind, PromptTemplate
from service.domain.conversation import Conversation, Message, Speaker
from service.domain.friendship import FriendshipStatus, LedgerEntry
from service.domain.ledger import LedgerTotals
from service.infrastructure.db.engine import make_engine
from service.infrastructure.db.migrations import migrate
from service.infrastructure.db.tables import metadata
from service.infrastructure.db.unit_of_work import units_of_work
from tests.unit.service.fakes.prompt_store import Prompt
from tests.unit.service.fakes.unit_of_work import FakeDatabase

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 11, 23, 23, 4, 10, 123456, tzinfo=UTC)


def test_the_tables_have_the_columns_that_the_queries_name(database_url):
    engine = create_engine(
        database_url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool
    )
    found = inspect(engine)

    for table in metadata.tables.values():
        made = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        assert made == {column.name: column.nullable for column in table.columns}


def test_migrating_again_and_from_many_places_at_once_changes_nothing(postgres):
    url = postgres.new_database()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            migrate(url)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    with psycopg.connect(url) as connection:
        counted = connection.execute(
            "SELECT count(*), count(DISTINCT name) FROM prompt_template"
        ).fetchone()
    assert counted is not None
    assert counted[0] == counted[1] > 20


def test_the_seed_has_prompts_for_every_level_and_category(rows):
    found = {
        row["category"] for row in rows("SELECT category FROM prompt_template WHERE kind = 'AGENT'")
    }
    tags = rows(
        "SELECT DISTINCT tag FROM prompt_template WHERE kind = 'AGENT' EXCEPT "
        "SELECT tag FROM prompt_template WHERE kind = 'GUIDE'"
    )

    assert {category for rule in RULES.values() for category in rule.categories} <= found
    assert tags == []


@pytest.fixture(params=["real", "fake"])
async def begin_work(request, database_url, rows):
    if request.param == "fake":
        prompts = [
            Prompt(
                PromptTemplate(
                    row["id"],
                    PromptKind(row["kind"]),
                    row["name"],
                    row["tag"],
                    row["topic"],
                    row["body"],
                ),
                row["level"],
                row["phase"],
                row["category"],
            )
            for row in rows("SELECT * FROM prompt_template")
        ]
        yield FakeDatabase(prompts=prompts).begin_work
        return
    engine = make_engine(Settings(database_url=database_url))
    yield units_of_work(engine)
    await engine.dispose()


async def test_real_and_fake_conversations_behave_alike(begin_work):
    log = (Message(Speaker.USER, "hi"),)
    one = Conversation("c1", "u1", log, None)
    other = Conversation("c1", "u2", log, None)

    async with begin_work() as work:
        store = work.conversations
        added = await store.add(one, stored_id="c1", ended_at=NOW)
        assert added is not None
        assert (added.conversation_id, added.user_id, added.ended_at) == ("c1", "u1", NOW)
        assert await store.add(other, stored_id="c1", ended_at=NOW) is None
        assert await store.add(one, stored_id="c1~2", ended_at=NOW) is None
        second = await store.add(other, stored_id="c1~2", ended_at=NOW + timedelta(1))
        assert second is not None
        assert await store.find("c1", other.body_hash) == second
        assert await store.find("c1", "unknown") == added
        assert await store.find("c1~2", "unknown") == second
        assert await store.find("c2", one.body_hash) is None
        assert await store.read("c1~2") == ("u2", log)
        assert await store.read("c3") is None
        await work.commit()

    async with begin_work() as work:
        assert await work.conversations.find("c1", one.body_hash) == added


async def test_what_is_not_committed_was_never_written_in_real_and_fake(begin_work):
    async with begin_work() as work:
        await work.friendships.lock("u1")
        await work.outbox.add("topic", {"a": 1})

    async with begin_work() as work:
        assert await work.friendships.read("u1") is None


async def test_real_and_fake_friendships_behave_alike(begin_work):
    async with begin_work() as work:
        made = await work.friendships.lock("u1")
        await work.friendships.count_suggestion("u1")
        await work.friendships.count_suggestion("nobody")
        await work.commit()

    async with begin_work() as work:
        read = await work.friendships.read("u1")
        assert read is not None
        assert (made.suggestions, read.suggestions) == (0, 1)
        assert (read.score, dict(read.topic_metrics)) == (0.0, {})
        assert await work.friendships.lock("u1") == read
        assert await work.friendships.read("nobody") is None


async def test_real_and_fake_ledgers_behave_alike(begin_work):
    log = (Message(Speaker.USER, "hi"),)
    music = LedgerEntry("c1", "u1", 13.5, "music", "joy", 2, fallback=False)
    other = LedgerEntry("c2", "u1", -3.5, "other", "anger", 0, fallback=False)
    unknown = LedgerEntry("c3", "u1", 0.0, "music", "neutral", 0, fallback=True)
    async with begin_work() as work:
        for number in (4, 3, 2, 1):
            conversation = Conversation(f"c{number}", "u1", log, None)
            await work.conversations.add(
                conversation, stored_id=f"c{number}", ended_at=NOW + timedelta(number)
            )
        for entry in (replace(music, points=1.0, topic="work"), music, other, unknown):
            await work.ledger.put(entry)
        await work.friendships.lock("u1")
        saved = FriendshipStatus("u1", 110.0, {"music": 1})
        await work.friendships.save(saved)
        await work.commit()

    async with begin_work() as work:
        assert await work.ledger.find("c1") == music
        assert await work.ledger.find("c4") is None
        assert await work.ledger.totals("u1") == LedgerTotals(10.0, {"music": 2, "other": 1})
        others = LedgerTotals(-3.5, {"music": 1, "other": 1})
        assert await work.ledger.totals("u1", without="c1") == others
        assert await work.ledger.totals("u2") == LedgerTotals()
        assert await work.ledger.unread("u1") == ["c3", "c4"]
        assert await work.ledger.unread("u2") == []
        assert await work.friendships.read("u1") == saved


async def test_real_and_fake_inboxes_behave_alike(begin_work):
    async with begin_work() as work:
        assert not await work.inbox.knows("m1")
        assert await work.inbox.add("m1")
        assert not await work.inbox.add("m1")
        assert await work.inbox.knows("m1")
        await work.commit()

    async with begin_work() as work:
        assert not await work.inbox.add("m1")


async def test_real_and_fake_nights_and_their_users_behave_alike(begin_work):
    log = (Message(Speaker.USER, "hi"),)
    night = NOW.date()
    async with begin_work() as work:
        for user_id in ("u3", "u1"):
            await work.friendships.lock(user_id)
        for number, user_id in enumerate(("u2", "u2", "u3")):
            conversation = Conversation(f"c{number}", user_id, log, None)
            await work.conversations.add(conversation, stored_id=f"c{number}", ended_at=NOW)
        assert await work.friendships.users(after="", limit=9) == ["u1", "u2", "u3"]
        assert await work.friendships.users(after="u1", limit=1) == ["u2"]
        assert await work.friendships.users(after="u3", limit=9) == []
        assert [await work.friendships.count_users(most=most) for most in (2, 9)] == [2, 3]
        begun = await work.nights.begin(night, users_total=3)
        assert begun == NightlyRun(night, 3)
        left = replace(begun, done_up_to="u2", users_done=2, users_failed=1, finished=True)
        await work.nights.save(left)
        await work.commit()

    async with begin_work() as work:
        assert await work.nights.begin(night, users_total=99) == left


@pytest.mark.parametrize("traced", [True, False])
async def test_a_message_carries_the_trace_of_the_request_that_left_it(database_url, rows, traced):
    engine = make_engine(Settings(database_url=database_url))
    span = TracerProvider().get_tracer("test").start_span("request") if traced else INVALID_SPAN
    with use_span(span):
        async with units_of_work(engine)() as work:
            await work.outbox.add("topic", {"a": 1})
            await work.commit()
    await engine.dispose()

    [row] = rows("SELECT traceparent, message_id FROM outbox")
    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert row["message_id"] is not None
    if traced:
        assert row["traceparent"].split("-")[1] == trace_id
    else:
        assert row["traceparent"] is None


async def test_real_and_fake_prompts_behave_alike(begin_work):
    async with begin_work() as work:
        prompts = work.prompts

        def names(templates):
            return [template.name for template in templates]

        review = [await prompts.one(PromptKind.REVIEW, level) for level in (0, 1, 2, 3)]
        assert [template and template.name for template in review] == [
            None,
            "look-back",
            "look-back",
            "look-back-deep",
        ]
        persona = await prompts.persona("greeting")
        assert persona is not None
        assert persona.name == "polite"
        assert await prompts.persona("no such phase") is None
        assert sorted(await prompts.topics(["interests"])) == ["films", "music", "riddles"]
        assert await prompts.topics([]) == []
        assert names(await prompts.agents_of_phase("exploring")) == ["hobbies", "home-town"]
        assert names(await prompts.agents_of_topics(["fears", "music"], 2)) == ["music"]
        assert names(await prompts.agents_of_topics(["fears", "music"], 3)) == ["music", "fears"]
        first = await prompts.agents_of_phase("greeting")
        backups = await prompts.backups(1, without=[first[0].template_id], limit=2)
        assert names(backups) == ["weather", "hobbies"]
        assert len(await prompts.backups(1, without=[], limit=99)) == 6
        assert set(await prompts.guides(["coach", "no such tag"])) == {"coach"}
        assert await prompts.guides([]) == {}
