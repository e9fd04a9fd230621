"""Metrics of Tempo and the collector that rules look at, as their documentation has them.

Neither can run here. Sources: "Internal Telemetry" in documentation.md of the collector's
components (0.156), with `_total` on counters since otel/collector.yaml asks for it; Tempo 3's
"Manage ingestion limits".
"""

from __future__ import annotations

from typing import Final

DOCUMENTED: Final[dict[str, set[str]]] = {
    "otelcol_exporter_queue_capacity": {"exporter", "data_type"},
    "otelcol_exporter_queue_size": {"exporter", "data_type"},
    "otelcol_exporter_enqueue_failed_spans_total": {"exporter"},
    "otelcol_exporter_send_failed_spans_total": {"exporter"},
    "otelcol_receiver_accepted_spans_total": {"receiver", "transport"},
    "otelcol_receiver_refused_spans_total": {"receiver", "transport"},
    "otelcol_process_memory_rss": set(),
    "otelcol_processor_tail_sampling_new_trace_id_received_total": set(),
    "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total": set(),
    "otelcol_processor_tail_sampling_sampling_traces_on_memory": set(),
    "tempo_request_duration_seconds": {"method", "route", "status_code", "ws"},
    "tempo_discarded_spans_total": {"reason", "tenant"},
}
"""Name -> its labels, besides those of the target."""
