"""The prompts that the rules ask for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAMES = ("kind", "name", "level", "phase", "tag", "category", "topic", "body")
KNOW, DAILY, LIKES, INNER = "getting_to_know", "daily_life", "interests", "inner_life"
PROMPTS = (
    ("DEFAULT", "free-talk", 1, None, "talk", None, None, "Talk about whatever comes up."),
    ("REVIEW", "look-back", 1, None, "review", None, None, "Look back at what you talked about."),
    ("REVIEW", "look-back-deep", 3, None, "review", None, None, "Look back at how they changed."),
    ("WRAP_UP", "good-night", 1, None, "wrap_up", None, None, "Close warmly, ask nothing new."),
    ("PERSONA", "polite", 1, "greeting", "persona", None, None, "A polite, curious stranger."),
    ("PERSONA", "friendly", 1, "exploring", "persona", None, None, "A friendly acquaintance."),
    ("PERSONA", "warm", 1, "deepening", "persona", None, None, "A warm new friend."),
    ("AGENT", "names", 1, "greeting", "icebreaker", KNOW, "names", "Ask what to call them."),
    ("AGENT", "weather", 1, "greeting", "icebreaker", KNOW, "weather", "Talk about the day."),
    ("AGENT", "hobbies", 1, "exploring", "curiosity", KNOW, "hobbies", "Ask what they enjoy."),
    ("AGENT", "home-town", 1, "exploring", "curiosity", KNOW, "places", "Ask where they live."),
    ("AGENT", "memories", 1, "deepening", "listener", KNOW, "memories", "Ask for a good memory."),
    ("AGENT", "wishes", 1, "deepening", "listener", KNOW, "wishes", "Ask what they wish for."),
    ("AGENT", "cooking", 2, None, "coach", DAILY, "cooking", "Plan a dinner together."),
    ("AGENT", "sleep", 2, None, "coach", DAILY, "sleep", "Talk about their evenings."),
    ("AGENT", "work-day", 2, None, "listener", DAILY, "work", "Listen to how work went."),
    ("AGENT", "music", 2, None, "curiosity", LIKES, "music", "Share a song and a reason."),
    ("AGENT", "films", 2, None, "curiosity", LIKES, "films", "Argue about a film."),
    ("AGENT", "riddles", 2, None, "player", LIKES, "riddles", "Play three riddles."),
    ("AGENT", "fears", 3, None, "listener", INNER, "fears", "Let them name a worry."),
    ("AGENT", "values", 3, None, "listener", INNER, "values", "Ask what they stand for."),
    ("AGENT", "future", 3, None, "coach", INNER, "future", "Imagine a day in five years."),
    ("GUIDE", "guide-icebreaker", 1, None, "icebreaker", None, None, "One easy question at once."),
    ("GUIDE", "guide-curiosity", 1, None, "curiosity", None, None, "Follow what they light up at."),
    ("GUIDE", "guide-listener", 1, None, "listener", None, None, "Reflect before you ask."),
    ("GUIDE", "guide-coach", 2, None, "coach", None, None, "End with one small step."),
    ("GUIDE", "guide-player", 2, None, "player", None, None, "Keep score, lose gracefully."),
)


def _table() -> sa.TableClause:
    return sa.table(
        "prompt_template",
        *(sa.column(name, sa.Integer if name == "level" else sa.Text) for name in NAMES),
    )


def upgrade() -> None:
    op.bulk_insert(_table(), [dict(zip(NAMES, row, strict=True)) for row in PROMPTS])


def downgrade() -> None:
    table = _table()
    op.execute(table.delete().where(table.c.name.in_([row[1] for row in PROMPTS])))
