"""Probe and pipeline health: may one believe the other dashboards, and would somebody be told."""

from __future__ import annotations

from typing import Final

from grafana.source.panels import Board, Query, Section, graph, stat

VERDICT: Final = Section(
    "Would somebody be told?",
    (
        stat(
            "Does the heartbeat fire?", "bool_yes_no",
            'count(ALERTS{alertname="Watchdog",alertstate="firing"}) or vector(0)',
            normal="Yes, always.",
            todo="Prometheus evaluates no rules, or its rules are not loaded: `/rules` says why.",
            alert="TelemetryPipelineSilent",
        ),
        stat(
            "How old is the oldest P0 that is not told?", "s",
            'max(why504_alerts_oldest_undelivered_age_seconds{level="p0"})',
            normal="0 s, or a few.",
            todo="Google Chat does not take it. It is kept and tried again; call people.",
            alert="AlertDeliveryFailing",
        ),
        stat(
            "How many messages were given up?", "short",
            'sum(clamp_min(delta(why504_alerts_messages{state="dead"}[15m]), 0))',
            normal="0 within 15 minutes.",
            todo="`why504 alerts log` has them, with Google's reason.",
            alert="AlertsGivenUp",
        ),
        stat(
            "Do spans arrive?", "ops",
            "sum(rate(why504_receiver_spans_total[5m]))"
            " or sum(rate(otelcol_receiver_accepted_spans_total[5m]))",
            normal="Some a second whenever there are requests.",
            todo="None: nothing can be explained. Is the receiver up, does the probe know its "
            "address (`WHY504_ENDPOINT`)?",
            alert="TelemetryPipelineSilent",
        ),
        stat(
            "Does the probe fail inside services?", "short",
            "sum(increase(why504_probe_errors_total[15m])) or vector(0)",
            normal="0 errors within 15 minutes.",
            todo="The service is fine, evidence may be missing: its log has the traceback.",
            alert="ProbeErrors",
        ),
        stat(
            "Is every target scraped?", "percentunit", "avg(up)",
            normal="100 %.",
            todo="*Which targets answer?* has the one that does not.",
        ),
    ),
)  # fmt: skip

EVIDENCE: Final = Section(
    "Is the evidence complete?",
    (
        graph(
            "How many spans are stored?", "ops",
            Query("topk(12, sum by (service_name) "
                  "(rate(why504_receiver_spans_total[$__rate_interval])))",
                  "{{service_name}}"),
            normal="In step with the requests.",
            todo="It falls while requests go on: exporter or receiver.",
        ),
        graph(
            "Does the receiver refuse any?", "ops",
            Query("topk(12, sum by (reason) "
                  "(rate(why504_receiver_failed_requests_total[$__rate_interval])))",
                  "{{reason}}"),
            Query("sum(rate(why504_receiver_rejected_spans_total[$__rate_interval]))",
                  "spans that are none"),
            normal="0.",
            todo="unavailable: the disk. too_large, invalid: whoever sends.",
        ),
        graph(
            "Is anything left out?", "ops",
            Query("sum(rate(why504_inflight_dropped_total[$__rate_interval]))",
                  "open spans, too many at once"),
            Query("sum(rate(why504_gateway_late_lines_total[$__rate_interval]))",
                  "lines of the gateway read late"),
            normal="0.",
            todo="Late lines: the receiver was down, they are told but raise no alert.",
        ),
        graph(
            "Where does the probe fail?", "short",
            Query("topk(12, sum by (service_name, site) "
                  "(increase(why504_probe_errors_total[15m]))) or vector(0)",
                  "{{service_name}} {{site}}"),
            normal="0 within 15 minutes.",
            todo="The place is in the probe, not in the service; report it.",
        ),
        graph(
            "Which targets answer?", "short",
            Query("topk(12, min by (job, service_name) (up))", "{{job}} {{service_name}}"),
            normal="1 each.",
            todo="Prometheus' page `/targets` says why one does not.",
        ),
        graph(
            "How long does a scrape take?", "s",
            Query("topk(12, max by (job, instance) (scrape_duration_seconds))",
                  "{{job}} {{instance}}"),
            normal="Below 0.1 s; the limit is 5 s.",
            todo="Slow in a hang: the process gets no processor.",
        ),
        graph(
            "How many series does a process tell?", "short",
            Query("topk(12, max by (job, instance) (scrape_samples_scraped))",
                  "{{job}} {{instance}}"),
            normal="Hundreds; a target of more than 2000 is refused.",
            todo="A label without bounds: a route that is no template.",
        ),
        graph(
            "What does it cost?", "percentunit",
            Query('topk(12, rate(process_cpu_seconds_total{job=~"receiver|alerts"}'
                  "[$__rate_interval]))",
                  "{{job}}"),
            Query('topk(12, rate(process_cpu_seconds_total{job="service"}[$__rate_interval]))',
                  "{{service_name}} {{instance}}"),
            normal="A few percent of a core for receiver and router.",
            todo="The receiver at a core: more spans than it can take, sample earlier.",
        ),
        graph(
            "How much memory do they use?", "bytes",
            Query("topk(12, process_resident_memory_bytes)", "{{job}} {{instance}}"),
            normal="Level.",
            todo="Every buffer is bounded: what grows is a defect of ours, or of the service.",
        ),
    ),
)  # fmt: skip

ON_THE_WAY: Final = Section(
    "Is anything lost on the way to Tempo?",
    (
        graph(
            "Does the watch get rid of its spans?", "s",
            Query("topk(12, max by (service_name) (why504_watch_unsent_age_seconds))",
                  "{{service_name}}"),
            normal="0 s.",
            todo="Nobody takes the gateway's 504s, locks and alarms: is the receiver or the "
            "collector up?",
            alert="WatchCannotSend",
        ),
        graph(
            "Does the watch give spans up?", "short",
            Query("topk(12, sum by (service_name, reason) "
                  "(increase(why504_watch_dropped_spans_total[15m])))",
                  "{{service_name}} {{reason}}"),
            normal="0 within 15 minutes.",
            todo="queue_full: nobody took them for too long. refused: whoever takes them says why.",
            alert="WatchDropsSpans",
        ),
        graph(
            "How many spans does the collector take?", "ops",
            Query("sum(rate(otelcol_receiver_accepted_spans_total[$__rate_interval]))", "taken"),
            Query("sum(rate(otelcol_receiver_refused_spans_total[$__rate_interval]))", "refused"),
            normal="In step with the requests, none refused. Empty without a collector.",
            todo="Refused: its memory limit, or a queue that is full. Senders try again.",
            alert="CollectorRefusesSpans",
        ),
        graph(
            "Does the collector lose spans?", "short",
            Query("topk(12, sum by (exporter) "
                  "(increase(otelcol_exporter_send_failed_spans_total[10m])))",
                  "not sent {{exporter}}"),
            Query("topk(12, sum by (exporter) "
                  "(increase(otelcol_exporter_enqueue_failed_spans_total[10m])))",
                  "not queued {{exporter}}"),
            normal="Nothing: these are born when something is lost first.",
            todo="Its log says what Tempo answered.",
            alert="CollectorLosesSpans",
        ),
        graph(
            "How full are the collector's queues?", "percentunit",
            Query("topk(12, max by (exporter) "
                  "(otelcol_exporter_queue_size / otelcol_exporter_queue_capacity))",
                  "{{exporter}}"),
            normal="Near 0 %.",
            todo="Whoever is behind the exporter is slow or down; what waits is on disk.",
            alert="CollectorQueueFilling",
        ),
        graph(
            "Is evidence thrown away?", "short",
            Query("topk(12, sum by (reason) (increase(tempo_discarded_spans_total[10m])))",
                  "by Tempo {{reason}}"),
            Query("sum(increase("
                  "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total[15m]))",
                  "by sampling, undecided"),
            normal="Nothing: these too are born late.",
            todo="Tempo answers 200 and discards beyond its limits: raise `max_traces_per_user` "
            "or the rate. Undecided: more traces at once than the sampler keeps.",
            alert="TempoDiscardsSpans",
        ),
    ),
)  # fmt: skip

DELIVERY: Final = Section(
    "Do alerts arrive?",
    (
        graph(
            "How many alerts were taken?", "short",
            Query("topk(12, sum by (level) (increase(why504_alerts_taken_total[10m])))",
                  "{{level}}"),
            Query("sum(increase(why504_alerts_unreadable_total[10m]))", "not readable"),
            normal="heartbeats only.",
            todo="Many P0s at once are one incident each service.",
        ),
        graph(
            "How many are not told yet?", "short",
            Query("topk(12, sum by (level) (why504_alerts_undelivered))", "{{level}}"),
            normal="0; P2 wait for the digest of the hour.",
            todo="P0 and P1 waiting: the room, see beside.",
        ),
        graph(
            "For how long?", "s",
            Query("topk(12, max by (level) (why504_alerts_oldest_undelivered_age_seconds))",
                  "{{level}}"),
            normal="P0 below 5 s.",
            todo="It rises with the clock: Google Chat is down, or the webhook was revoked.",
        ),
        graph(
            "What became of messages?", "short",
            Query("topk(12, sum by (state, room) (why504_alerts_messages))", "{{state}} {{room}}"),
            normal="delivered grows, waiting is 0, dead stays.",
            todo="dead: `why504 alerts log` says why.",
            alert="AlertsGivenUp",
        ),
        graph(
            "Does the router turn anybody away?", "short",
            Query("topk(12, sum by (reason) (increase(why504_alerts_requests_failed_total[10m])))",
                  "{{reason}}"),
            normal="0 within ten minutes.",
            todo="unavailable: its disk; Alertmanager tries again. refused: whoever sends.",
        ),
        graph(
            "Does anybody answer?", "short",
            Query("sum(why504_alerts_acknowledgements_total)", "acknowledged"),
            Query("sum(why504_alerts_escalations_total)", "nobody answered in time"),
            normal="Everything acknowledged, nothing escalated.",
            todo="Escalations: is the rota right, do phones ring?",
        ),
        graph(
            "Is the watcher outside fed?", "short",
            Query("topk(12, sum by (result) (increase(why504_alerts_pings_total[10m])))",
                  "ping {{result}}"),
            Query("topk(12, sum by (result) (increase(why504_alerts_canary_messages_total[2h])))",
                  "canary {{result}}"),
            normal="ok ten times in ten minutes, where a ping is set; else 0.",
            todo="withheld: alerting is broken, and the watcher calls people.",
        ),
        graph(
            "Which alerts fire?", "short",
            Query('topk(12, sum by (alertname) (ALERTS{alertstate="firing"}))', "{{alertname}}"),
            normal="Watchdog alone.",
            todo="Each has a runbook, and a link to its dashboard.",
            width=16,
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    uid="why504-alerting",
    title="Probe and pipeline health",
    question="May one believe the other dashboards, and would somebody be told?",
    sections=(VERDICT, EVIDENCE, ON_THE_WAY, DELIVERY),
    of_a_service=False,
)
