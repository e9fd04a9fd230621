"""Where the lost seconds came to rest: one bar a leaf, most first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from dashboards.draw.palette import KINDS, QUIET, Ink
from dashboards.draw.tables import leaf_words
from dashboards.draw.text import duration, percent, plain
from dashboards.language import Say
from dashboards.words import lists as words
from dashboards.words.engine import LEAVES
from why504.model import Blame, Leaf

ROW_HEIGHT = 44
BARS_LIMIT = 10


def blame_data(blames: Sequence[Blame], say: Say) -> list[dict[str, Any]]:
    """Return one row a leaf, at most ten, in the order given; shares of the rest are not shown."""
    return [
        {
            "row": row,
            "text": " · ".join(_figures(blame)),
            "share": blame.share,
            "color": QUIET if blame.leaf.kind == "unknown" else KINDS["stall"],
            "what": leaf_words(blame.leaf),
            "kind": _kind(blame.leaf, say),
            "lost": duration(blame.seconds),
            "mostly": say(words.MOSTLY, number=blame.victims),
        }
        for row, blame in enumerate(blames[:BARS_LIMIT])
    ]


def _kind(leaf: Leaf, say: Say) -> str:
    return say(LEAVES[leaf.kind]) if leaf.kind in LEAVES else plain(leaf.kind)


def _figures(blame: Blame) -> tuple[str, str, str]:
    return percent(blame.share), duration(blame.seconds), leaf_words(blame.leaf)


def chart(blames: Sequence[Blame], ink: Ink, say: Say) -> alt.LayerChart:
    """Return horizontal bars from 0 to 100 %, each under its words."""
    base = alt.Chart(alt.InlineData(values=blame_data(blames, say)))
    row = alt.Y("row:O", axis=None, scale=alt.Scale(padding=0))
    share = alt.X("share:Q", scale=alt.Scale(domain=[0, 1]), axis=None)
    bars: alt.Chart = base.mark_bar(size=12, yOffset=10).encode(
        x=share,
        y=row,
        color=alt.Color("color:N", scale=None),
        tooltip=[
            alt.Tooltip("what:N", title=say(words.WHAT)),
            alt.Tooltip("kind:N", title=say(words.KIND)),
            alt.Tooltip("lost:N", title=say(words.LOST_TIME)),
            alt.Tooltip("mostly:N", title=say(words.SHARE_OF)),
        ],
    )
    labels: alt.Chart = base.mark_text(
        align="left", fontSize=12, dy=-8, color=ink.strong, limit=alt.ExprRef("width - 6")
    ).encode(x=alt.XValue(2), y=row, text=alt.Text("text:N"))
    return alt.LayerChart(
        layer=[bars, labels], height=ROW_HEIGHT * max(1, min(len(blames), BARS_LIMIT))
    )
