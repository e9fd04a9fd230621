"""A dashboard as Grafana has it: variables, annotations, links, and its panels in their places.

In the classic schema, which Grafana reads from files since long ago; the builders recommend the
schema 2, which it does not before version 13.
"""

from __future__ import annotations

import json
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableHide,
    VariableRefresh,
)

from grafana.source.drawing import PROMETHEUS, drawn
from grafana.source.panels import FAMILY, Board, Box

TAG: Final = "why504"
EXPLORER: Final = "http://localhost:8501"
"""Where the explorer is if the router was not told: WHY504_ALERTS_EXPLORER_URL."""
_SERVICES: Final = 'label_values(up{job="service"}, service_name)'
_CHOSEN: Final = 'label_values(up{service_name="$service_name"}, service_name)'
_EXPLORER: Final = (
    "query_result(why504_alerts_explorer_info"
    f' or on () label_replace(vector(1), "url", "{EXPLORER}", "", ""))'
)


def document(board: Board) -> str:
    """Return the JSON of a dashboard, the same for the same board."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.question)
        .tags([TAG])
        .refresh("30s")
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .annotation(_alerts(board))
    )
    for variable in _variables(board):
        built.with_variable(variable)
    for link in _links(board):
        built.link(link)
    _place(built, board)
    told = json.loads(json.dumps(built.build(), cls=JSONEncoder))
    # By default the builders move both into a menu, where nobody finds them.
    for one in (*told["links"], *told["annotations"]["list"]):
        del one["placement"]
    return json.dumps(told, sort_keys=True, indent=2) + "\n"


def _place(built: Any, board: Board) -> None:
    number = 1
    for section in board.sections:
        built.with_row(dashboard.Row(section.title).id(number))
        number += 1
        for panel in section.panels:
            built.with_panel(drawn(panel).id(number))
            number += 1


def _variables(board: Board) -> list[Any]:
    variables: list[Any] = []
    if board.of_a_service:
        variables.append(_query("service_name", "Service", _SERVICES).sort(1))
        # Its relay, worker and nightly job are services of their own to OpenTelemetry.
        family = _query("family", "Family", _CHOSEN).regex("/^(.+?)(?:-relay|-worker|-nightly)?$/")
        variables.append(family.hide(VariableHide.HIDE_VARIABLE))
    variables += [_box(box) for box in board.boxes]
    explorer = _query("explorer_url", "Explorer", _EXPLORER).regex('/url="([^"]+)"/')
    return [*variables, explorer.hide(VariableHide.HIDE_VARIABLE)]


def _query(name: str, label: str, text: str) -> Any:
    asked: dict[str, object] = {"query": text, "refId": name}
    variable = dashboard.QueryVariable(name).label(label).query(asked).definition(text)
    return variable.datasource(PROMETHEUS).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)


def _box(box: Box) -> Any:
    return (
        dashboard.TextBoxVariable(box.name)
        .label(box.label)
        .description(box.tells)
        .default_value(box.value)
    )


def _alerts(board: Board) -> Any:
    whose = f",{FAMILY}" if board.of_a_service else ""
    return (
        dashboard.AnnotationQuery()
        .name("Alerts")
        .datasource(PROMETHEUS)
        .enable(True)
        .icon_color("red")
        .expr(f'ALERTS{{alertstate="firing",severity=~"p0|p1|p2"{whose}}}')
        .step("15s")
        .title_format("{{alertname}}")
        .text_format("{{service_name}}")
        .tag_keys("severity")
    )


def _links(board: Board) -> list[Any]:
    others = dashboard.DashboardLink("why504").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    outside = (("Incident explorer", "${explorer_url}"), *board.links)
    return [
        others.include_vars(True).keep_time(True),
        *(
            dashboard.DashboardLink(title)
            .type(DashboardLinkType.LINK)
            .icon("external link")
            .url(address)
            .target_blank(True)
            for title, address in outside
        ),
    ]
