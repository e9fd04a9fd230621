"""Charts as SVG that may stand in anybody's page: drawn offline, and reduced to shapes and text.

Words and lines are drawn in `currentColor`, on `Canvas`: one drawing serves light, dark and paper.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import tempfile
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import altair as alt

from dashboards.draw.palette import Ink
from dashboards.draw.text import INVISIBLE
from dashboards.share import drawing
from dashboards.share.blocks import Block, Chart, Document, Figure

INK: Final = Ink(strong="currentColor", paper="Canvas")
WIDE_PX: Final = 680
"""Fills an A4 page between its margins."""
NARROW_PX: Final = 350
"""Fills a phone."""
FIGURE_LIMIT: Final = 400_000
"""Characters of one drawing; a larger one is left out."""
LIMIT_S: Final = 60.0

Spec = dict[str, Any]

_FAINT: Final = "#88888855"
_CONFIG: Final[dict[str, Any]] = {
    "background": None,
    "font": "Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "titleFontWeight": "normal",
        "domainColor": _FAINT,
        "gridColor": _FAINT,
        "tickColor": _FAINT,
    },
    "legend": {"labelColor": "currentColor", "titleColor": "currentColor"},
    "header": {"labelColor": "currentColor", "titleColor": "currentColor"},
    "title": {"color": "currentColor", "subtitleColor": "currentColor"},
    "text": {"color": "currentColor"},
}
_SVG: Final = "http://www.w3.org/2000/svg"
_ELEMENTS: Final = frozenset({
    "svg", "g", "path", "rect", "circle", "line", "polygon", "polyline", "text", "tspan", "defs",
    "clipPath", "linearGradient", "radialGradient", "stop",
})  # fmt: skip
_ATTRIBUTES: Final = frozenset({
    "id", "d", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "fx", "fy", "dx",
    "dy", "width", "height", "viewBox", "points", "transform", "fill", "fill-opacity",
    "fill-rule", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray",
    "stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit", "opacity",
    "clip-path", "text-anchor", "dominant-baseline", "font-family", "font-size", "font-weight",
    "font-style", "offset", "stop-color", "stop-opacity", "gradientUnits", "gradientTransform",
})  # fmt: skip
_OWN: Final = re.compile(r"url\(#([\w-]+)\)")
"""The only kind of reference there may be: to a part of the same drawing."""


def with_figures(document: Document) -> Document:
    """Return a document whose charts are drawn; those that can't be, or are too large, are gone."""
    charts = [b for section in document.sections for b in section.blocks if isinstance(b, Chart)]
    drawn = dict(zip([chart.name for chart in charts], _figures(charts), strict=True))
    sections = [
        replace(section, blocks=[*_with(section.blocks, drawn)]) for section in document.sections
    ]
    return replace(document, sections=sections)


def _with(blocks: Sequence[Block], drawn: Mapping[str, Figure | None]) -> Iterator[Block]:
    for block in blocks:
        figure = drawn[block.name] if isinstance(block, Chart) else block
        if figure is not None:
            yield figure


def _figures(charts: Sequence[Chart]) -> list[Figure | None]:
    made = [(chart, _spec(chart.make())) for chart in charts]
    sizes = [(chart, one, px) for chart, one in made for px in (WIDE_PX, NARROW_PX)]
    drawn = svgs([(one, px, f"{chart.name}{px}") for chart, one, px in sizes])
    pairs = zip(charts, drawn[::2], drawn[1::2], strict=True)
    return [Figure(wide, thin, chart.alt) if wide and thin else None for chart, wide, thin in pairs]


def svgs(asked: Sequence[tuple[alt.TopLevelMixin | Spec, int, str]]) -> list[str]:
    """Return charts as SVG elements: shapes and text, no link, style or script.

    What can't be drawn, takes more than a minute or is too large is empty.

    Args:
        asked: a chart of Altair's or one of Vega-Lite, whose words may come from telemetry; the
            width of the whole drawing in pixels; and what begins every id in it, so that several
            can share a page.
    """
    if not asked:
        return []
    specs = [_sized(_clean(_spec(chart)), width_px) for chart, width_px, _ in asked]
    command = [sys.executable, drawing.__file__]
    told = json.dumps({"config": _CONFIG, "specs": specs})
    with tempfile.TemporaryFile() as out:
        try:
            subprocess.run(command, input=told.encode(), stdout=out, timeout=LIMIT_S, check=True)
        except subprocess.SubprocessError:
            logging.getLogger(__name__).warning("not all figures could be drawn", exc_info=True)
        out.seek(0)
        # What was drawn before it ended stays.
        lines = [line for line in out.read().splitlines() if line.endswith((b'"', b"null"))]
    drawn = [json.loads(line) or "" for line in lines[: len(asked)]]
    drawn += [""] * (len(asked) - len(drawn))
    return [reduced(svg, prefix) for svg, (_, _, prefix) in zip(drawn, asked, strict=True)]


def reduced(svg: str, prefix: str) -> str:
    """Return a drawing with only what draws; empty if it is too large, or no drawing."""
    try:
        root = ET.fromstring(svg)  # noqa: S314 - no document type, and nobody else's
    except ET.ParseError:
        return ""
    _reduce(root, prefix)
    root.set("xmlns", _SVG)
    root.set("aria-hidden", "true")
    made = ET.tostring(root, encoding="unicode")
    return made if len(made) <= FIGURE_LIMIT else ""


def _spec(chart: alt.TopLevelMixin | Spec) -> Spec:
    if isinstance(chart, dict):
        return chart
    spec: Spec = chart.to_dict()
    return spec


def _clean(part: Any) -> Any:
    """Return part of a specification without characters that draw nothing."""
    match part:
        case str():
            kept = (c for c in part if c == "\n" or unicodedata.category(c) not in INVISIBLE)
            return "".join(kept)
        case dict():
            return {key: _clean(value) for key, value in part.items()}
        case list():
            return [_clean(value) for value in part]
        case _:
            return part


def _sized(spec: Spec, width_px: int) -> Spec:
    parts = spec.get("vconcat")
    if parts is None:
        fit = {"type": "fit-x", "contains": "padding"}
        return {**spec, "width": width_px, "autosize": fit}
    # Several charts below each other can't be fitted: room is left for what stands beside them.
    beside_px = 60
    return {**spec, "vconcat": [{**part, "width": width_px - beside_px} for part in parts]}


def _reduce(element: ET.Element, prefix: str) -> None:
    """Leave what draws, without namespaces; everything else goes, with all that is in it."""
    element.tag = _local(element.tag)
    kept = {
        _local(name): _own(value, prefix) if _local(name) != "id" else prefix + value
        for name, value in element.attrib.items()
        if _local(name) in _ATTRIBUTES
    }
    element.attrib.clear()
    element.attrib.update({name: value for name, value in kept.items() if value})
    for child in list(element):
        if _local(child.tag) in _ELEMENTS:
            _reduce(child, prefix)
        else:
            element.remove(child)


def _local(name: object) -> str:
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _own(value: str, prefix: str) -> str:
    if "url(" not in value.lower():
        return value
    reference = _OWN.fullmatch(value)
    return f"url(#{prefix}{reference[1]})" if reference else ""
