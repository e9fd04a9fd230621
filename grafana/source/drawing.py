"""A panel as Grafana has it, made with Grafana Labs' own builders."""

from __future__ import annotations

from typing import Any, Final

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    table,
    tempo,
    timeseries,
)
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueTextMode,
    DataSourceRef,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.tempo import SearchTableType

from grafana.source.colours import fixed, thresholds, values
from grafana.source.limits import JUST_ABOVE_0, LIMITS, Limit
from grafana.source.panels import Kind, Panel, Query

PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid="prometheus")
TEMPO: Final = DataSourceRef(type_val="tempo", uid="tempo")
MOST_TRACES: Final = 20
_LAST: Final = common.ReduceDataOptions().calcs(["lastNotNull"])
_COLUMNS: Final = {Kind.TRACES: ("traceName", "traceID"), Kind.SPANS: ("name", "traceIdHidden")}
"""What the name and the trace id are called in the two tables of Grafana's Tempo data source."""


def drawn(panel: Panel) -> Any:
    """Return the builder of a panel, without a place."""
    limit = LIMITS.get(panel.alert)
    built = _MAKERS[panel.kind](panel, limit)
    built.title(panel.title).description(described(panel, limit)).unit(panel.unit)
    built.span(panel.width).height(panel.height).no_value(panel.nothing)
    built.datasource(TEMPO if panel.kind.of_tempo else PROMETHEUS)
    for number, query in enumerate(panel.queries):
        built.with_target(_target(panel.kind, query, chr(ord("A") + number)))
    if panel.kind is not Kind.STAT:
        for name, words in panel.words.items():
            built.override_by_name(name, [DynamicConfigValue(id_val="displayName", value=words)])
    if panel.leads_to:
        address = f"/d/{panel.leads_to}?${{service_name:queryparam}}&${{__url_time_range}}"
        links = [{"title": "Who is it?", "url": address}]
        built.override_by_regexp(".*", [DynamicConfigValue(id_val="links", value=links)])
    return built


def described(panel: Panel, limit: Limit | None) -> str:
    """Return what the panel says of itself, as Markdown."""
    told = f"**Normal:** {panel.normal}\n\n**If not:** {panel.todo}"
    if limit is None:
        return told
    side = "at" if limit.below else "above"
    return (
        f"{told}\n\nThe alert {limit.alert} ({limit.level.upper()}) fires {side} {limit.value:g}."
    )


def _stat(panel: Panel, limit: Limit | None) -> Any:
    return (
        stat.Panel()
        .reduce_options(_LAST)
        .color_mode(BigValueColorMode.BACKGROUND)
        .thresholds(thresholds(limit))
        .mappings(values(panel.words))
    )


def _names(panel: Panel, limit: Limit | None) -> Any:
    return (
        stat.Panel()
        .reduce_options(_LAST)
        .text_mode(BigValueTextMode.NAME)
        .color_mode(BigValueColorMode.VALUE)
        .orientation(VizOrientation.HORIZONTAL)
        .thresholds(thresholds(Limit("", "p0", 0)))
    )


def _graph(panel: Panel, limit: Limit | None) -> Any:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST)
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI)
    built = (
        timeseries.Panel()
        .legend(legend.placement(LegendPlacement.BOTTOM).show_legend(True))
        .tooltip(tooltip.sort(SortOrder.DESCENDING))
        .line_width(2)
        .fill_opacity(0)
        .min(0)
    )
    if limit and limit.step != JUST_ABOVE_0 and not limit.below:
        dashed = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        built.thresholds(thresholds(limit)).thresholds_style(dashed)
    return built


def _stack(panel: Panel, limit: Limit | None) -> Any:
    stacking = common.StackingConfig().mode(StackingMode.NORMAL)
    built = _graph(panel, limit).stacking(stacking).fill_opacity(40).line_width(1)
    # The colour of a gateway's answers is their meaning.
    for status, colour in (("504", "red"), ("502", "orange"), ("200", "green")):
        built.override_by_name(status, [fixed(colour)])
    return built


def _bars(panel: Panel, limit: Limit | None) -> Any:
    return (
        bargauge.Panel()
        .reduce_options(_LAST)
        .orientation(VizOrientation.HORIZONTAL)
        .thresholds(thresholds(Limit("", "p0", 0)))
    )


def _rows(panel: Panel, limit: Limit | None) -> Any:
    return table.Panel().override_by_name(
        "Time", [DynamicConfigValue(id_val="custom.hidden", value=True)]
    )


def _found(panel: Panel, limit: Limit | None) -> Any:
    name, trace_id = _COLUMNS[panel.kind]
    address = f"${{explorer_url}}/request?trace=${{__data.fields.{trace_id}}}"
    links = [{"title": "Explain it in why504", "url": address, "targetBlank": True}]
    # Not on the id: there Grafana itself leads to the trace.
    return table.Panel().override_by_name(name, [DynamicConfigValue(id_val="links", value=links)])


_MAKERS: Final = {
    Kind.STAT: _stat,
    Kind.NAMES: _names,
    Kind.GRAPH: _graph,
    Kind.STACK: _stack,
    Kind.BARS: _bars,
    Kind.ROWS: _rows,
    Kind.TRACES: _found,
    Kind.SPANS: _found,
    Kind.TRACE_RATE: _graph,
}


def _target(kind: Kind, query: Query, ref_id: str) -> Any:
    if kind.of_tempo:
        asked = tempo.Dataquery().query_type("traceql").query(query.asked).ref_id(ref_id)
        rows = SearchTableType.SPANS if kind is Kind.SPANS else SearchTableType.TRACES
        return asked.limit(MOST_TRACES).table_type(rows).datasource(TEMPO)
    built = prometheus.Dataquery().expr(query.asked).ref_id(ref_id).datasource(PROMETHEUS)
    if query.legend:
        built.legend_format(query.legend)
    if query.exemplars:
        built.exemplar(True)
    if kind is Kind.ROWS:
        built.format(PromQueryFormat.TABLE)
    return built.instant() if kind.instant else built.range()
