"""A chart as Vega-Lite."""

from __future__ import annotations

from typing import Any

import altair as alt


def spec(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """Return what the browser is to draw, unchecked.

    `st.altair_chart` holds it against the schema of all of Vega-Lite at each click, which takes
    longer than everything else on a page; tests do that once.
    """
    told: dict[str, Any] = chart.to_dict(validate=False)
    told.pop("config", None)  # sizes for notebooks
    return told
