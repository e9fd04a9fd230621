"""What would have helped, on the incident page: played when asked for, and drawn."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboards import playing
from dashboards.draw import helping as draw
from dashboards.draw.palette import DARK, LIGHT
from dashboards.language import LANGUAGES, Say
from dashboards.words import helping as words
from tests.unit.dashboards.conftest import Opened, charts, interpreted, texts
from tests.unit.dashboards.explorer_examples import MemoryStore
from why504.diagnose import explain
from why504.errors import StoreUnavailable
from why504.model import Counterfactual, Evidence, Incident, Sample, Window

sys.path.append(str(Path(__file__).parents[1] / "diagnose"))
from test_engine import pool_scene
from test_replay import earlier, stalled_scene


class Kept(MemoryStore):
    """A store that knows one stretch of time."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(window=evidence.window)
        self.told = evidence
        self.read = 0

    def evidence(self, window: Window) -> Evidence:
        self.read += window != self.window
        return self.told


def pool() -> tuple[Kept, Incident]:
    store = Kept(earlier(pool_scene()).evidence())
    return store, explain(store.told)[0]


def opened(explorer: Opened, kept: tuple[Kept, Incident] | None = None, **query: str) -> AppTest:
    store, incident = kept or pool()
    return explorer("incident", store, [incident], **query)


def asked(explorer: Opened, **query: str) -> AppTest:
    return opened(explorer, replay="1", **query)


def outcomes(page: AppTest) -> list[list[str]]:
    """Return what stands above the bars, chart by chart."""
    found = []
    for spec in charts(page):
        layers = spec.get("layer", [])
        rows = [row for layer in layers for row in layer.get("data", {}).get("values", [])]
        said = list(dict.fromkeys(row["outcome"] for row in rows if "outcome" in row))
        found += [said] if said else []
    return found


def test_nothing_is_played_before_it_is_asked_for(explorer: Opened):
    kept = pool()

    page = opened(explorer, kept)

    assert outcomes(page) == []
    assert words.PLAY[0] in [b.label for b in page.button]
    assert kept[0].read == 1  # for the timeline and the comparison, once for both
    assert not page.slider


def test_a_button_plays_it_and_the_address_keeps_that(explorer: Opened):
    page = opened(explorer)

    next(b for b in page.button if b.label == words.PLAY[0]).click()
    page.run()

    assert page.query_params["replay"] == "1"
    assert "Played again unchanged, 8 of 8 requests fare as they did." in texts(page)
    tried, outcome = outcomes(page)
    assert tried == ["0 of 8 would still have timed out", "2 of 8 would still have timed out"]
    assert outcome == ["8 of 8 would still have timed out"]
    assert words.UNCHANGED[0] in texts(page)


def test_a_slider_says_what_would_have_become_of_the_victims(explorer: Opened):
    page = asked(explorer)

    page.slider[0].set_value(1.0).run()

    assert outcomes(page)[-1] == ["0 of 8 would still have timed out"]
    assert "If LLM groq llama took at most 1 s:" in texts(page)
    assert page.query_params["set"].endswith(":1")


def test_what_was_asked_is_in_the_address_and_can_be_put_back(explorer: Opened):
    first = asked(explorer)
    first.slider[0].set_value(1.0).run()

    page = asked(explorer, set=first.query_params["set"])
    assert page.slider[0].value == 1.0
    assert outcomes(page)[-1] == ["0 of 8 would still have timed out"]

    next(b for b in page.button if b.label == words.AS_IT_WAS[0]).click()
    page.run()
    assert outcomes(page)[-1] == ["8 of 8 would still have timed out"]
    assert "set" not in page.query_params


def test_a_call_can_be_moved_off_the_loop(explorer: Opened):
    store = Kept(stalled_scene().evidence())
    page = opened(explorer, (store, explain(store.told)[0]), replay="1")

    page.toggle[0].set_value(True).run()

    assert outcomes(page)[-1] == ["1 of 6 would still have timed out"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "::;;:",
        "x:1;y:2",
        "longest-1:nan",
        "a:inf;b:-inf",
        "é:1e999",
        ";" * 100_000,
        "x" * 10**5,
    ],
)
def test_whatever_stands_in_the_address_is_no_error(explorer: Opened, text: str):
    page = asked(explorer, set=text)

    assert not page.exception
    assert outcomes(page)[-1] == ["8 of 8 would still have timed out"]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300", "-5", "0.123456789"])
def test_a_value_out_of_range_is_put_into_it(explorer: Opened, value: str):
    name = asked(explorer).slider[0].key.rpartition("_")[2]

    page = asked(explorer, set=f"{name}:{value}")

    assert not page.exception
    assert page.slider[0].min <= page.slider[0].value <= page.slider[0].max
    assert math.isfinite(page.slider[0].value)


def test_it_is_played_once_for_all_who_look(explorer: Opened):
    kept = pool()

    opened(explorer, kept, replay="1")
    page = opened(explorer, kept, replay="1")
    page.slider[0].set_value(1.0).run()

    assert kept[0].read == 1


def test_where_nothing_can_be_said_it_says_why(explorer: Opened):
    store = Kept(replace(earlier(pool_scene()).evidence(), sample=Sample({}, {}, 9)))

    page = opened(explorer, (store, explain(store.told)[0]), replay="1")

    assert "only a part of what happened was read" in texts(page)
    assert words.NOT_KNOWN[0] in [info.value for info in page.info]
    assert not page.slider
    assert outcomes(page) == []


def test_a_store_that_cant_be_read_is_told(explorer: Opened, monkeypatch: pytest.MonkeyPatch):
    def broken(folder: Path, incident: Incident) -> None:
        raise StoreUnavailable("disk **gone**")

    monkeypatch.setattr(playing, "asker", broken)

    page = asked(explorer)

    assert "disk **gone**" in texts(page)
    assert "gone" not in "".join(interpreted(page))


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_of_telemetry_is_interpreted(explorer: Opened, language: str):
    scene = earlier(pool_scene())
    evil = "[x](javascript:1) **b** <script>\u202e" + "A" * 100_000
    spans = [
        replace(span, attributes={**span.attributes, "gen_ai.request.model": evil})
        if "gen_ai.request.model" in span.attributes
        else span
        for span in scene.evidence().spans
    ]
    store = Kept(replace(scene.evidence(), spans=spans))

    page = opened(explorer, (store, explain(store.told)[0]), replay="1", lang=language)

    assert page.slider
    for marked in ("javascript", "script>", "\u202e", "AAAA"):
        assert marked not in "".join(interpreted(page))
    assert any("**b** <script>" in text for text in texts(page))
    assert all(len(text) < 2_000 for text in texts(page))


TOLD = Counterfactual("LLM groq took at most 15 s", 212, 3, 20)


def test_a_bar_has_a_part_for_those_left_prevented_and_new():
    parts = {row["part"]: (row["begin"], row["end"]) for row in draw.bar_data([TOLD], Say())}

    assert parts == {"left": (0, 3), "prevented": (3, 212), "new": (212, 232)}
    assert draw.word_data([TOLD], Say()) == [
        {
            "row": 0,
            "change": "If LLM groq took at most 15 s:",
            "outcome": "3 of 212 would still have timed out, and 20 others instead",
        }
    ]
    assert all(212 < row["at"] < 232 for row in draw.stripe_data([TOLD], 232))


def test_parts_that_are_empty_are_not_drawn():
    nobody = Counterfactual("", 0, 0, 0)

    assert draw.bar_data([nobody], Say()) == []
    assert draw.chart([nobody], LIGHT, Say())["height"] > 0
    assert draw.chart([], LIGHT, Say())["height"] == 0


def test_more_bars_than_fit_are_left_out_and_long_changes_are_cut():
    many = [replace(TOLD, change="x\u202e\n" * 100_000)] * 500

    spec = json.dumps(draw.chart(many, DARK, Say("vi")), ensure_ascii=False)

    assert len({row["row"] for row in draw.bar_data(many, Say())}) == draw.BARS_LIMIT
    assert len(spec) < 50_000
    assert "\u202e" not in spec
