"""Charts as SVG that may stand in anybody's page: drawn offline, and reduced to shapes and text.

Words and lines are drawn in `currentColor`, so that one drawing serves light, dark and paper.
"""

from __future__ import annotations

import logging
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any, Final

import altair as alt

from dashboards.draw.palette import Ink
from dashboards.share.blocks import Figure

INK: Final = Ink(strong="currentColor")
WIDE_PX: Final = 680
"""Fills an A4 page between its margins."""
NARROW_PX: Final = 350
"""Fills a phone."""
FIGURE_LIMIT: Final = 400_000
"""Characters of one drawing; a larger one is left out."""

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


def figure(name: str, alt_text: str, make: Callable[[], alt.TopLevelMixin]) -> Figure | None:
    """Return a chart for a page and for a phone; None where it can't be drawn or is too large.

    Args:
        name: letters only, another one for each figure of a file.
        alt_text: what it shows.
        make: makes the chart with the words and lines in `INK`.
    """
    try:
        wide, narrow = (
            drawn(make(), width_px, f"{name}{width_px}") for width_px in (WIDE_PX, NARROW_PX)
        )
    # What draws is another program in another language; without a figure it is a post-mortem still.
    except (ValueError, TypeError, ET.ParseError):
        logging.getLogger(__name__).warning("the figure %s could not be drawn", name, exc_info=True)
        return None
    if max(len(wide), len(narrow)) > FIGURE_LIMIT:
        return None
    return Figure(wide, narrow, alt_text)


def drawn(chart: alt.TopLevelMixin, width_px: int, prefix: str) -> str:
    """Return a chart as an SVG element of that width: shapes and text, no link, style or script.

    Args:
        chart: whatever Altair draws; its words may come from telemetry.
        width_px: of the whole drawing.
        prefix: begins every id, so that several drawings can share a page.

    Raises:
        ValueError: the chart is none that can be drawn.
        ParseError: what was drawn is no XML.
    """
    import vl_convert

    spec = _sized(chart.to_dict(), width_px)
    # No address may be asked for, whatever a chart says.
    svg = vl_convert.vegalite_to_svg(spec, config=_CONFIG, allowed_base_urls=[])
    root = ET.fromstring(svg)  # noqa: S314 - no document type, and nobody else's
    _reduce(root, prefix)
    root.set("xmlns", _SVG)
    root.set("aria-hidden", "true")
    return ET.tostring(root, encoding="unicode")


def _sized(spec: dict[str, Any], width_px: int) -> dict[str, Any]:
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
