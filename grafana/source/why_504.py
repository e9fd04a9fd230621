"""Why 504: is it given up, why, where, who holds it up, and on to a trace."""

from __future__ import annotations

from typing import Final

from grafana.source.panels import Board, Box, Kind, Panel, Query, Section, graph, stat, table
from grafana.source.why_504_who import WHO
from why504.diagnose.causes import CAUSES, HEALTH_CHECK, UNKNOWN

_CAUSES: Final = {row.id: f"{row.id} · {row.title}" for row in (*CAUSES, HEALTH_CHECK)} | {
    UNKNOWN: "UNKNOWN: nothing that was told names it yet"
}
_ALERTS: Final = 'ALERTS{alertstate="firing",severity=~"p0|p1|p2",<family>}'
_GATEWAY: Final = "why504_gateway_request_duration_seconds"
_GIVEN_UP: Final = 'resource.service.name = "gateway" && span.http.response.status_code = 504'

VERDICT: Final = Section(
    "Is it bad, and why?",
    (
        stat(
            "Which share of the requests is given up?", "percentunit",
            "service:gateway_504:ratio_rate1m{<service>}",
            normal="0 %. Of the last minute, by the gateway's own log, which also tells of "
            "requests that the application never ended.",
            todo="Read the cause beside it. UNKNOWN: go on below, from left to right.",
            alert="Gateway504Ratio",
        ),
        stat(
            "How old is the oldest request?", "s",
            "max(why504_inflight_oldest_age_seconds{<service>})",
            normal="Below the slowest answer that is usual; it is told while the request hangs.",
            todo="Find its route in *Which routes are stuck?*, its stack with `why504 ps`.",
            alert="OldestInFlightRequest",
        ),
        stat(
            "For how long has an event loop stood still?", "s",
            "max(why504_eventloop_stall_age_seconds{<service>})",
            normal="0 s.",
            todo="One line of code keeps the whole process: it is in *Which lines block the event "
            "loop?*, at the end. Take that call off the loop.",
            alert="EventLoopBlocked",
        ),
        stat(
            "How full is the fullest pool?", "percentunit",
            'max(db_client_connection_count{state="used",<service>}'
            " / ignoring (state) db_client_connection_max{<service>})",
            normal="Below 80 %.",
            todo="Open *Pools and locks*: who holds the connections, and for how long.",
            alert="DBPoolExhausted",
            leads_to="why504-database",
        ),
        stat(
            "Do its processes answer?", "percentunit",
            'avg(up{job="service",<service>})',
            normal="100 %: their metrics have a thread of their own, which a hang does not stop.",
            todo="They are gone, or frozen. Look at *Do processes die?* and at what starts them.",
            alert="ServiceDown",
        ),
        stat(
            "How many alerts fire?", "short",
            f"count({_ALERTS}) or vector(0)",
            normal="0.",
            todo="They are listed below; each has a runbook.",
        ),
        Panel(
            "What is the cause?", Kind.NAMES, "short",
            normal="No P0 burns. Named by the same engine as the card in the chat room.",
            todo="Open the incident in the explorer (link on top): who waited for whom, and the "
            "line. The cause has a page with what to do.",
            queries=(
                Query(
                    "topk(5, max by (cause) "
                    '(why504_alerts_burning_incidents{service="$service_name"}) > 0)',
                    "{{cause}}",
                ),
            ),
            height=9, words=_CAUSES, nothing="no P0 burns",
        ),
        table(
            "Which alerts fire?", Kind.ROWS,
            f"sort_desc(sum by (alertname, severity) ({_ALERTS}))",
            normal="Empty.",
            todo="The P0s first. Whatever burns together is one incident, and has one thread.",
            width=8,
        ),
        Panel(
            "What did P0s cost, by cause?", Kind.BARS, "short",
            normal="0 everywhere.",
            todo="The longest bar is what to mend first. Counted once an incident is over: "
            "requests that timed out in it, within the time that is shown.",
            queries=(
                Query(
                    "topk(12, sum by (cause) (increase("
                    'why504_alerts_timed_out_requests_total{service="$service_name"}[$__range])))',
                    "{{cause}}",
                ),
            ),
            height=9, words=_CAUSES,
        ),
    ),
)  # fmt: skip

WHERE: Final = Section(
    "Where: at the gateway, or on a route?",
    (
        graph(
            "What does the gateway answer?", "reqps",
            Query(
                "topk(12, sum by (status) "
                f"(rate({_GATEWAY}_count{{<service>}}[$__rate_interval])))",
                "{{status}}",
            ),
            normal="200, a few 4xx, no 5xx. 499: the client hung up first.",
            todo="504 alone: nothing answers in time. 502 too: processes end or refuse.",
            kind=Kind.STACK,
        ),
        graph(
            "Which share is given up, of a minute and of hours?", "percentunit",
            *(
                Query(f"service:gateway_504:ratio_rate{span}{{<service>}}", span)
                for span in ("1m", "5m", "30m", "1h", "6h")
            ),
            normal="Below 0.5 %, the budget of a month.",
            todo="Five minutes and the hour above the line: the budget of a month is gone within "
            "two days. Only 30 m and 6 h high: it comes and goes, see GatewayTimeoutsSlowBurn.",
            alert="GatewayTimeoutsFastBurn",
        ),
        graph(
            "Which share fails otherwise?", "percentunit",
            *(
                Query(f"service:errors:ratio_rate{span}{{<service>}}", span)
                for span in ("5m", "30m", "1h", "6h")
            ),
            normal="Below 0.5 %. Every 5xx but 504.",
            todo="503 is the service protecting itself; 500 a defect; 502 a process that is gone.",
            alert="ServerErrorsFastBurn",
        ),
        graph(
            "Which routes are stuck?", "short",
            Query("topk(12, sum by (route) (http_server_active_requests{<service>}))", "{{route}}"),
            normal="A few, never growing.",
            todo="The one that grew first is where it hangs; the others may only wait behind it.",
            kind=Kind.STACK,
        ),
        graph(
            "Which routes still answer?", "reqps",
            Query(
                "topk(12, sum by (route) "
                "(rate(http_server_request_duration_seconds_count{<service>}[$__rate_interval])))",
                "{{route}}",
            ),
            normal="What clients ask for, see above.",
            todo="None: the process as a whole stands still (loop, processor). Some: what they do "
            "not need, a pool, a lock or a peer, is what the others wait for.",
            kind=Kind.STACK,
        ),
        Panel(
            "Which addresses are given up?", Kind.TRACE_RATE, "reqps",
            normal="None. By the gateway's spans; needs Tempo.",
            todo="One address: its own work. All: what they share.",
            queries=(
                Query(f"{{ {_GIVEN_UP} }} | rate() by (span.url.path) | topk(12)"),
            ),
        ),
        graph(
            "How long does it take, if it ends?", "s",
            Query("topk(12, service_route:http_server_request_duration_seconds:p99_5m{<service>})",
                  "p99 {{route}}"),
            Query(f"histogram_quantile(0.99, sum by (le) "
                  f"(rate({_GATEWAY}_bucket{{<service>}}[$__rate_interval])))",
                  "p99 at the gateway", exemplars=True),
            normal="Below 2 s. Dots are requests: a click opens the trace.",
            todo="In a total hang nothing ends, and these lines stop: that says nothing. Look at "
            "what is open.",
            alert="LatencyP99High", width=12,
        ),
        graph(
            "And most of them?", "s",
            Query("topk(12, service_route:http_server_request_duration_seconds:p95_5m{<service>})",
                  "p95 {{route}}"),
            Query("histogram_quantile(0.5, sum by (le) "
                  "(rate(http_server_request_duration_seconds_bucket{<service>}[$__rate_interval])))",
                  "p50, all routes", exemplars=True),
            normal="Below 2 s.",
            todo="One route: its own queries and calls. All: processor, loop or database.",
            alert="LatencyP95High", width=12,
        ),
    ),
)  # fmt: skip

TRACES: Final = Section(
    "From here to a trace",
    (
        table(
            "The latest 504s", Kind.TRACES, f"{{ {_GIVEN_UP} }}",
            normal="None.",
            todo="The id opens the trace; the name opens the request in the explorer: its "
            "waterfall, what it waited for, and the line. Of every service behind the gateway.",
            width=12,
        ),
        table(
            "Which lines block the event loop?", Kind.SPANS,
            '{ resource.service.name = "$service_name" && span.why504.kind = "stall" }'
            " | select(span.why504.resource, span.code.function.name, span.code.file.path,"
            " span.code.line.number)",
            normal="None.",
            todo="The same line again and again is the culprit.",
            width=12,
        ),
        table(
            "Which requests are still open?", Kind.SPANS,
            '{ resource.service.name = "$service_name" && span.why504.kind = "snapshot" }'
            " | select(span.http.route, span.why504.inflight.age_seconds, span.why504.waiting.on)",
            normal="None: a request is told here only after it has been open for a while.",
            todo="What most of them wait on is where to look.",
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    uid="why504-service",
    title="Why 504",
    question="Are requests given up, why, where, and who holds them up?",
    sections=(VERDICT, WHERE, WHO, TRACES),
    boxes=(
        Box("gateway_timeout_s", "Gateway gives up after (s)", "60",
            "nginx: `proxy_read_timeout` of what is in front of the service."),
    ),
)  # fmt: skip
