"""Tables as the queries see them; the migrations are what makes them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata: Final = MetaData()

conversation_event: Final = Table(
    "conversation_event",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("conversation_id", Text, nullable=False, unique=True),
    Column("requested_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("log", JSONB, nullable=False),
    Column("body_hash", Text, nullable=False),
    Column("ended_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

friendship_status: Final = Table(
    "friendship_status",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("score", Float, nullable=False),
    Column("level", Integer, nullable=False),
    Column("topic_metrics", JSONB, nullable=False),
    Column("suggestions", Integer, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("initial_score", Float, nullable=False),
    Column("initial_topic_metrics", JSONB, nullable=False),
)

conversation_score: Final = Table(
    "conversation_score",
    metadata,
    Column("conversation_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("points", Float, nullable=False),
    Column("topic", Text, nullable=False),
    Column("emotion", Text, nullable=False),
    Column("questions", Integer, nullable=False),
    Column("fallback", Boolean, nullable=False),
    Column("scored_at", DateTime(timezone=True), nullable=False),
)

prompt_template: Final = Table(
    "prompt_template",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("level", Integer, nullable=False),
    Column("phase", Text),
    Column("tag", Text, nullable=False),
    Column("category", Text),
    Column("topic", Text),
    Column("body", Text, nullable=False),
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Column("message_id", UUID, nullable=False, unique=True),
    Column("traceparent", Text),
    Column("claimed_until", DateTime(timezone=True)),
    Column("deliveries", Integer, nullable=False),
    Column("set_aside", Text),
)

processed_message: Final = Table(
    "processed_message",
    metadata,
    Column("message_id", Text, primary_key=True),
    Column("processed_at", DateTime(timezone=True), nullable=False),
)

nightly_run: Final = Table(
    "nightly_run",
    metadata,
    Column("night", Date, primary_key=True),
    Column("done_up_to", Text, nullable=False),
    Column("users_done", Integer, nullable=False),
    Column("users_failed", Integer, nullable=False),
    Column("users_total", Integer, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
)
