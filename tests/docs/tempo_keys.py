"""Documented keys of Tempo 3's configuration that we use or might: its configuration reference.

Shape as in collector_keys. Version 2 has `ingester`, `compactor`, `ingester_client` and
`metrics_generator.traces_storage`; version 3 refuses them, and they are not here.
"""

from __future__ import annotations

from typing import Any, Final

from collector_keys import FREE

_WAL: Final = dict.fromkeys(
    ("path", "ingestion_time_range_slack", "version", "parquet_row_group_size_bytes")
)
_COMPACTION: Final = dict.fromkeys(
    ("block_retention", "compacted_block_retention", "compaction_window", "max_block_bytes",
     "max_compaction_objects", "max_time_per_tenant", "retention_concurrency")
)  # fmt: skip
_ENDPOINT: Final = {"endpoint": None, "tls": FREE, "max_recv_msg_size_mib": None}

KEYS: Final[dict[str, Any]] = {
    "stream_over_http_enabled": None,
    "multitenancy_enabled": None,
    "http_api_prefix": None,
    "server": dict.fromkeys(
        ("http_listen_address", "http_listen_port", "grpc_listen_address", "grpc_listen_port",
         "graceful_shutdown_timeout", "http_server_read_timeout", "http_server_write_timeout",
         "http_server_idle_timeout", "grpc_server_max_recv_msg_size",
         "grpc_server_max_send_msg_size", "log_level", "log_format")
    ),
    "memory": dict.fromkeys(("automemlimit_enabled", "automemlimit_ratio")),
    "distributor": {
        "receivers": {"otlp": {"protocols": {"grpc": _ENDPOINT, "http": _ENDPOINT}}},
        "max_attribute_bytes": None,
        "retry_after_on_resource_exhausted": None,
        "ring": FREE,
        "log_discarded_spans": dict.fromkeys(
            ("enabled", "include_all_attributes", "filter_by_status_error")
        ),
    },
    "memberlist": dict.fromkeys(
        ("bind_addr", "bind_port", "cluster_label", "join_members", "abort_if_cluster_join_fails")
    ),
    "query_frontend": {
        **dict.fromkeys(
            ("query_end_cutoff", "max_outstanding_per_tenant", "max_batch_size", "max_retries",
             "max_query_expression_size_bytes")
        ),
        "search": FREE,
        "metrics": FREE,
        "trace_by_id": FREE,
    },
    "live_store": {
        **dict.fromkeys(
            ("commit_interval", "flush_check_period", "flush_op_timeout", "max_trace_idle",
             "max_trace_live", "max_live_traces_bytes", "max_block_bytes", "max_block_duration",
             "query_block_concurrency", "complete_block_concurrency", "complete_block_timeout",
             "readiness_target_lag", "readiness_max_wait", "fail_on_high_lag",
             "remove_owner_on_shutdown", "shutdown_marker_dir")
        ),
        "ring": FREE,
        "partition_ring": FREE,
        "metrics": {"time_overlap_cutoff": None},
        "wal": _WAL,
    },
    "block_builder": {
        **dict.fromkeys(
            ("instance_id", "assigned_partitions", "partitions_per_instance",
             "consume_cycle_duration", "max_consuming_bytes")
        ),
        "block": FREE,
        "wal": _WAL,
    },
    "backend_scheduler": {
        **dict.fromkeys(
            ("maintenance_interval", "backend_flush_interval", "job_timeout", "local_work_path")
        ),
        "work": dict.fromkeys(("prune_age", "dead_job_timeout")),
        "provider": {
            "retention": {"interval": None},
            "compaction": {
                **dict.fromkeys(
                    ("measure_interval", "max_jobs_per_tenant", "min_input_blocks",
                     "max_input_blocks", "max_compaction_level", "min_cycle_interval")
                ),
                "compaction": _COMPACTION,
            },
            "redaction": FREE,
        },
    },
    "backend_worker": {
        **dict.fromkeys(
            ("backend_scheduler_addr", "override_ring_key", "finish_on_shutdown_timeout")
        ),
        "backoff": FREE,
        "compaction": _COMPACTION,
        "ring": FREE,
    },
    "storage": {
        "trace": {
            **dict.fromkeys(("backend", "blocklist_poll", "blocklist_poll_concurrency")),
            "local": {"path": None},
            "wal": _WAL,
            "s3": FREE,
            "gcs": FREE,
            "azure": FREE,
            "block": FREE,
            "pool": FREE,
        }
    },
    "overrides": {
        "defaults": {
            "ingestion": dict.fromkeys(
                ("rate_strategy", "rate_limit_bytes", "burst_size_bytes", "max_traces_per_user",
                 "retry_info_enabled")
            ),
            "read": FREE,
            "compaction": dict.fromkeys(("block_retention", "compaction_disabled")),
            "metrics_generator": FREE,
            "global": {"max_bytes_per_trace": None},
        },
        "per_tenant_override_config": None,
        "per_tenant_override_period": None,
    },
    "usage_report": {"reporting_enabled": None},
}  # fmt: skip
