"""The score ledger, message ids, the inbox of the worker, and runs of the nightly job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "conversation_score",
        sa.Column("conversation_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        # What it changed, after the score was kept from falling below 0: the sum is the score.
        sa.Column("points", sa.Float, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("emotion", sa.Text, nullable=False),
        sa.Column("questions", sa.Integer, nullable=False),
        sa.Column("fallback", sa.Boolean, nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
    )
    op.create_index("conversation_score_user", "conversation_score", ["user_id"])
    # What users had before there was a ledger.
    op.add_column(
        "friendship_status",
        sa.Column("initial_score", sa.Float, nullable=False, server_default="0"),
    )
    op.execute("UPDATE friendship_status SET initial_score = score")
    op.add_column(
        "friendship_status",
        sa.Column(
            "initial_topic_metrics", JSONB, nullable=False, server_default=sa.text("'{}'")
        ),
    )
    op.execute("UPDATE friendship_status SET initial_topic_metrics = topic_metrics")
    op.add_column(
        "outbox",
        sa.Column(
            "message_id", UUID, nullable=False, unique=True, server_default=sa.text("gen_random_uuid()")
        ),
    )
    op.add_column("outbox", sa.Column("traceparent", sa.Text))
    # The three columns by which a worker consumes the outbox where there is no RabbitMQ.
    op.add_column("outbox", sa.Column("claimed_until", sa.DateTime(timezone=True)))
    op.add_column(
        "outbox", sa.Column("deliveries", sa.Integer, nullable=False, server_default="0")
    )
    op.add_column("outbox", sa.Column("set_aside", sa.Text))
    op.create_table(
        "processed_message",
        sa.Column("message_id", sa.Text, primary_key=True),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
    )
    op.create_index("processed_message_at", "processed_message", ["processed_at"])
    op.create_table(
        "nightly_run",
        sa.Column("night", sa.Date, primary_key=True),
        # Users up to this id are done; the job goes on behind it.
        sa.Column("done_up_to", sa.Text, nullable=False, server_default=""),
        sa.Column("users_done", sa.Integer, nullable=False, server_default="0"),
        sa.Column("users_failed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("users_total", sa.Integer, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    for table in ("nightly_run", "processed_message", "conversation_score"):
        op.drop_table(table)
    for column in ("message_id", "traceparent", "claimed_until", "deliveries", "set_aside"):
        op.drop_column("outbox", column)
    for column in ("initial_score", "initial_topic_metrics"):
        op.drop_column("friendship_status", column)
