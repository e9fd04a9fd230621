"""What a screen reader finds, and what weak eyes can read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import dashboards
from dashboards.draw.palette import DARK, LIGHT, Ink
from dashboards.pages import PAGES
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards.conftest import Opened, charts

VIEWS = sorted(Path(dashboards.__file__).parent.glob("views/*.py"))
PATHS = [page.path for page in PAGES if page.path != "now"]
POOL = told.pool_incident()
LEVELS = {"title": 1, "header": 2, "subheader": 3}
ENOUGH = 4.5
"""Contrast of words that WCAG 2.2 AA asks for."""


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, as WCAG defines it."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def text_marks(spec: Any) -> Iterator[dict[str, Any]]:
    """Every mark of a chart that draws words."""
    if isinstance(spec, dict):
        mark = spec.get("mark")
        if isinstance(mark, dict) and mark.get("type") == "text":
            yield mark
        for inner in spec.values():
            yield from text_marks(inner)
    elif isinstance(spec, list):
        for inner in spec:
            yield from text_marks(inner)


def test_contrast_is_computed_as_wcag_does():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("ink", [LIGHT, DARK], ids=["light", "dark"])
def test_words_can_be_read_on_the_page(ink: Ink):
    assert contrast(ink.strong, ink.paper) >= ENOUGH


@pytest.mark.parametrize("path", ["incident", "request", "incidents"])
def test_words_in_charts_are_of_the_ink_that_can_be_read(explorer: Opened, path: str):
    page = explorer(path, *told.both_hangs(), incident=POOL.id, trace=told.trace(1))

    marks = [mark for chart in charts(page) for mark in text_marks(chart)]
    faint = [
        mark
        for mark in marks
        if mark.get("color") != LIGHT.strong or float(mark.get("opacity", 1)) < 0.6
    ]
    assert path == "incidents" or marks
    assert faint == []


@pytest.mark.parametrize("path", PATHS)
def test_headings_go_down_one_level_at_a_time(explorer: Opened, path: str):
    page = explorer(path, *told.both_hangs(), incident=POOL.id, trace=told.trace(1))

    levels = [LEVELS[element.type] for element in page.main if element.type in LEVELS]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.stem)
def test_every_chart_is_told_in_words_too(view: Path):
    drawn = [
        call
        for call in ast.walk(ast.parse(view.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("altair_chart", "vega_lite_chart")
    ]

    silent = [call.lineno for call in drawn if "alt" not in {word.arg for word in call.keywords}]
    assert silent == []


def test_charts_reach_the_browser_with_their_words(explorer: Opened):
    page = explorer("incident", *told.both_hangs(), incident=POOL.id)

    said = [chart.proto.alt for chart in page.get("vega_lite_chart")]
    assert said
    assert all(len(words) > 20 for words in said)
