"""Conversation events, friendship statuses, prompts and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "conversation_event",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("conversation_id", sa.Text, nullable=False, unique=True),
        sa.Column("requested_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("log", JSONB, nullable=False),
        sa.Column("body_hash", sa.Text, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        # A body is stored once under the id it was sent with, whatever id it was given.
        sa.UniqueConstraint("requested_id", "body_hash"),
    )
    op.create_index("conversation_event_user", "conversation_event", ["user_id", "ended_at"])
    op.create_table(
        "friendship_status",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("score", sa.Float, nullable=False, server_default="0"),
        sa.Column("level", sa.Integer, nullable=False, server_default="1"),
        sa.Column("topic_metrics", JSONB, nullable=False, server_default=sa.text("'{}'")),
        sa.Column("suggestions", sa.Integer, nullable=False, server_default="0"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.CheckConstraint("score >= 0", name="friendship_status_score"),
    )
    op.create_table(
        "prompt_template",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("phase", sa.Text),
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("category", sa.Text),
        sa.Column("topic", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
    )
    # The relay only ever looks for what is not sent; the rest may grow.
    op.create_index(
        "outbox_unsent", "outbox", ["id"], postgresql_where=sa.text("sent_at IS NULL")
    )


def downgrade() -> None:
    for table in ("outbox", "prompt_template", "friendship_status", "conversation_event"):
        op.drop_table(table)
