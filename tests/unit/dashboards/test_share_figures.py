"""Charts as SVG: the right size, in the reader's own ink, and nothing but shapes and text."""

from __future__ import annotations

import socket
import xml.etree.ElementTree as ET
from typing import Any

import altair as alt
import pytest

from dashboards.draw import blame
from dashboards.language import Say
from dashboards.share import figures
from tests.unit.dashboards import explorer_examples as told


def chart(text: str = "words", **marks: Any) -> alt.Chart:
    data = alt.InlineData(values=[{"x": 1, "text": text, "url": "https://planted.example/i.png"}])
    return alt.Chart(data).mark_text(**marks).encode(x="x:Q", text="text:N", tooltip="text:N")


def svg(drawn: alt.TopLevelMixin, width_px: int = 400) -> ET.Element:
    return ET.fromstring(made(drawn, width_px))


def made(drawn: alt.TopLevelMixin, width_px: int = 400, prefix: str = "f") -> str:
    return figures.svgs([(drawn, width_px, prefix)])[0]


def test_a_drawing_has_the_width_that_was_asked_for():
    for width_px in (350, 680):
        found = svg(chart(), width_px)
        assert found.get("width") == str(width_px)
        assert found.get("viewBox") == f"0 0 {width_px} {found.get('height')}"


def test_words_that_are_cut_at_the_edge_fit_a_narrow_drawing_too():
    blames = told.pool_incident().blames

    wide, narrow = (
        [t.text or "" for t in svg(blame.chart(blames, figures.INK, Say()), px).iter() if t.text]
        for px in (680, 350)
    )

    assert any(text.endswith("publisher.py:48)") for text in wide)
    assert not any(text.endswith("publisher.py:48)") for text in narrow)
    assert any(text.endswith("…") for text in narrow)


def test_charts_below_each_other_stay_within_the_width():
    both = alt.vconcat(chart(), chart())

    assert 340 <= float(svg(both, 400).get("width", 0)) <= 420


def test_lines_and_words_take_the_colour_of_the_page():
    drawn = made(chart(color=figures.INK.strong))

    assert 'fill="currentColor"' in drawn
    assert 'fill="white"' not in drawn
    assert 'fill="#000"' not in drawn


HOSTILE = (
    "</text></svg><script>planted()</script>",
    "]]>&lt;<!--&#0;",
    "url(x)",
    "a\x00b",
    "\ud800c",
)


def test_text_stays_text_and_what_would_end_the_drawing_program_is_taken_out():
    drawn = figures.svgs([(chart(text), 400, f"f{n}") for n, text in enumerate(HOSTILE)])

    for text, one in zip(HOSTILE, drawn, strict=True):
        shown = "".join(ET.fromstring(one).itertext())
        assert text.replace("\x00", "").replace("\ud800", "") in shown
    assert not any("<script" in one or "<!--" in one for one in drawn)


def test_links_and_pictures_are_left_out():
    linked = chart().encode(href="url:N")
    pictured = chart().mark_image().encode(url="url:N")

    for drawn in figures.svgs([(linked, 400, "a"), (pictured, 400, "b")]):
        assert "planted" not in drawn


def test_data_from_elsewhere_is_never_fetched():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.01)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/planted.json"

        made(alt.Chart(address).mark_point().encode(x="x:Q"))

        with pytest.raises(TimeoutError):
            listener.accept()


def test_ids_begin_with_the_name_of_the_figure_and_references_follow():
    clipped = alt.Chart(alt.InlineData(values=[{"x": 1}, {"x": 2}])).mark_line(clip=True)
    drawn = made(clipped.encode(x="x:Q", y="x:Q"), 400, "mine")

    ids = [e.get("id") for e in ET.fromstring(drawn).iter() if e.get("id")]
    assert ids
    assert all(name and name.startswith("mine") for name in ids)
    assert f"url(#{ids[0]})" in drawn


@pytest.mark.parametrize(
    ("part", "left"),
    [
        ('<rect onload="planted()" fill="red"/>', '<rect fill="red" />'),
        ('<rect fill="url(https://planted/#a)"/>', "<rect />"),
        ('<rect fill="URL(#a) url(//planted)"/>', "<rect />"),
        ('<rect style="background:url(//planted)"/>', "<rect />"),
        ('<rect fill="url(#a)"/>', '<rect fill="url(#fa)" />'),
        ('<a href="javascript:planted()"><rect/></a>', ""),
        ("<script>planted()</script>", ""),
        ("<style>*{background:url(//planted)}</style>", ""),
        ("<foreignObject><b>planted</b></foreignObject>", ""),
        ('<use href="#planted"/>', ""),
        ('<g xmlns:x="urn:x" x:onclick="planted()"><x:script/></g>', "<g />"),
    ],
)
def test_only_what_draws_is_left_of_a_drawing(part: str, left: str):
    kept = figures.reduced(f'<svg xmlns="http://www.w3.org/2000/svg">{part}</svg>', "f")

    frame = '<svg xmlns="http://www.w3.org/2000/svg" aria-hidden="true"'
    assert kept == (f"{frame}>{left}</svg>" if left else f"{frame} />")


def test_a_chart_that_cant_be_drawn_takes_no_other_with_it():
    drawn = figures.svgs(
        [(chart("before"), 400, "a"), (Raw(), 400, "b"), (chart("after"), 400, "c")]
    )

    assert "before" in drawn[0]
    assert drawn[1] == ""
    assert "after" in drawn[2]


class Raw(alt.Chart):
    """A chart that Altair has not looked at."""

    def to_dict(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"mark": "no such mark", "data": {"values": []}}


def test_a_program_that_ends_in_the_middle_leaves_what_it_drew(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(figures, "_clean", lambda spec: spec)

    drawn = figures.svgs([(chart("before"), 400, "a"), (chart("a\x00b"), 400, "b")])

    assert "before" in drawn[0]
    assert drawn[1] == ""


def test_what_is_too_large_is_left_out(monkeypatch: pytest.MonkeyPatch):
    size = len(made(chart()))

    monkeypatch.setattr(figures, "FIGURE_LIMIT", size - 1)

    assert size > 0
    assert made(chart()) == ""
