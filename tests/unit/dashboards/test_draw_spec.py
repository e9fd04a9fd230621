"""Charts go to the browser unchecked: here they are held against the schema of Vega-Lite."""

from __future__ import annotations

import ast
from pathlib import Path

import altair as alt
import pytest
from altair.utils import schemapi

import dashboards.draw
from dashboards.draw.spec import spec
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards.conftest import Opened, charts

POOL = told.pool_incident()


@pytest.mark.parametrize("path", ["incidents", "incident", "request"])
def test_what_the_pages_draw_is_vega_lite(explorer: Opened, path: str):
    page = explorer(path, *told.both_hangs(), incident=POOL.id, trace=told.trace(1))

    drawn = charts(page)
    assert drawn
    for one in drawn:
        # Streamlit took the data out of it.
        one.setdefault("data", {"values": []})
        schemapi.validate_jsonschema(one, alt.TopLevelUnitSpec._rootschema)


def test_a_mistake_in_a_chart_is_found_here():
    wrong = spec(alt.Chart(alt.InlineData(values=[])).mark_bar())
    wrong["mark"] = {"type": "no such mark"}

    with pytest.raises(schemapi.jsonschema.ValidationError):
        schemapi.validate_jsonschema(wrong, alt.TopLevelUnitSpec._rootschema)


DRAWING = sorted(Path(dashboards.draw.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("file", DRAWING, ids=lambda file: file.stem)
def test_channels_are_told_in_the_way_that_is_fast(file: Path):
    encoded = [
        word
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "encode"
        for word in call.keywords
    ]

    slow = [
        ast.unparse(word)
        for word in encoded
        if isinstance(word.value, ast.Constant | ast.JoinedStr)
        or ast.unparse(word.value).startswith(("alt.value(", "alt.datum(", "alt.condition("))
    ]
    assert slow == []
