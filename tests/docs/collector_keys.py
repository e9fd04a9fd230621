"""Documented keys of the collector's components that we use, contrib 0.156.

Out of each component's README and configuration schema. `None`: a value or a list of values; a
dict: a mapping with these keys; a list of one dict: a list of such mappings; FREE: any keys.
"""

from __future__ import annotations

from typing import Any, Final

FREE: Final = "any key"

_TLS: Final = dict.fromkeys(
    ("ca_file", "cert_file", "key_file", "insecure", "insecure_skip_verify", "min_version",
     "server_name_override", "reload_interval")
)  # fmt: skip
_HTTP_SERVER: Final = {
    **dict.fromkeys(
        ("endpoint", "max_request_body_size", "include_metadata", "compression_algorithms",
         "read_header_timeout", "read_timeout", "write_timeout", "idle_timeout",
         "keep_alives_enabled", "transport")
    ),
    "tls": _TLS,
    "auth": {"authenticator": None, "request_params": None},
    "cors": {"allowed_origins": None, "allowed_headers": None, "max_age": None},
    "response_headers": FREE,
}  # fmt: skip
_GRPC_SERVER: Final = {
    **dict.fromkeys(
        ("endpoint", "max_recv_msg_size_mib", "max_concurrent_streams", "include_metadata",
         "read_buffer_size", "write_buffer_size", "transport")
    ),
    "tls": _TLS,
    "auth": {"authenticator": None},
    "keepalive": FREE,
}  # fmt: skip
_HTTP_CLIENT: Final = {
    **dict.fromkeys(
        ("endpoint", "timeout", "compression", "proxy_url", "read_buffer_size",
         "write_buffer_size", "max_idle_conns", "max_idle_conns_per_host", "max_conns_per_host",
         "idle_conn_timeout", "disable_keep_alives", "http2_read_idle_timeout",
         "http2_ping_timeout", "force_attempt_http2")
    ),
    "tls": _TLS,
    "auth": {"authenticator": None},
    "headers": FREE,
    "compression_params": {"level": None},
    "cookies": {"enabled": None},
}  # fmt: skip
_RETRY: Final = dict.fromkeys(
    ("enabled", "initial_interval", "max_interval", "max_elapsed_time", "multiplier",
     "randomization_factor")
)  # fmt: skip
_QUEUE: Final = {
    **dict.fromkeys(
        ("enabled", "num_consumers", "wait_for_result", "block_on_overflow", "sizer", "queue_size",
         "storage")
    ),
    "batch": dict.fromkeys(("flush_timeout", "min_size", "max_size", "sizer")),
}  # fmt: skip
_OTTL_FILTER: Final = {
    **dict.fromkeys(
        ("error_mode", "trace_conditions", "metric_conditions", "log_conditions",
         "profile_conditions")
    ),
}  # fmt: skip
_POLICY: Final = {
    "name": None,
    "type": None,
    "latency": dict.fromkeys(("threshold_ms", "upper_threshold_ms")),
    "numeric_attribute": dict.fromkeys(("key", "min_value", "max_value", "invert_match")),
    "probabilistic": dict.fromkeys(("hash_salt", "sampling_percentage")),
    "status_code": dict.fromkeys(("status_codes",)),
    "string_attribute": dict.fromkeys(
        ("key", "values", "enabled_regex_matching", "cache_max_size", "invert_match")
    ),
    "boolean_attribute": dict.fromkeys(("key", "value", "invert_match")),
    "rate_limiting": dict.fromkeys(("spans_per_second",)),
    "span_count": dict.fromkeys(("min_spans", "max_spans")),
    "trace_state": dict.fromkeys(("key", "values")),
    "ottl_condition": dict.fromkeys(("error_mode", "span", "spanevent")),
    "and": {"and_sub_policy": FREE},
    "drop": {"drop_sub_policy": FREE},
    "not": {"not_sub_policy": FREE},
}
_DIMENSIONS: Final = [dict.fromkeys(("name", "default", "glob"))]

COMPONENTS: Final[dict[str, dict[str, Any]]] = {
    "receivers": {
        "otlp": {
            "protocols": {
                "grpc": _GRPC_SERVER,
                "http": {
                    **_HTTP_SERVER,
                    **dict.fromkeys(("traces_url_path", "metrics_url_path", "logs_url_path")),
                },
            }
        },
    },
    "processors": {
        "memory_limiter": dict.fromkeys(
            ("check_interval", "limit_mib", "spike_limit_mib", "limit_percentage",
             "spike_limit_percentage", "min_gc_interval_when_soft_limited",
             "min_gc_interval_when_hard_limited")
        ),
        "batch": dict.fromkeys(
            ("send_batch_size", "send_batch_max_size", "timeout", "metadata_keys",
             "metadata_cardinality_limit")
        ),
        "transform": dict.fromkeys(
            ("error_mode", "flatten_data", "trace_statements", "metric_statements",
             "log_statements", "profile_statements")
        ),
        "redaction": dict.fromkeys(
            ("allow_all_keys", "allowed_keys", "allowed_values", "blocked_key_patterns",
             "blocked_values", "hash_function", "hmac_key", "ignored_key_patterns",
             "ignored_keys", "redact_all_types", "summary", "db_sanitizer", "url_sanitizer")
        ),
        "filter": _OTTL_FILTER,
        "tail_sampling": {
            **dict.fromkeys(
                ("decision_wait", "decision_wait_after_root_received", "num_traces",
                 "expected_new_traces_per_sec", "block_on_overflow", "sample_on_first_match",
                 "drop_pending_traces_on_shutdown", "maximum_trace_size_bytes",
                 "sampling_strategy")
            ),
            "decision_cache": dict.fromkeys(("sampled_cache_size", "non_sampled_cache_size")),
            "policies": [_POLICY],
        },
    },
    "connectors": {
        "forward": {},
        "spanmetrics": {
            **dict.fromkeys(
                ("namespace", "aggregation_temporality", "aggregation_cardinality_limit",
                 "exclude_dimensions", "include_instrumentation_scope", "metrics_flush_interval",
                 "metrics_expiration", "series_expiration", "resource_metrics_cache_size",
                 "resource_metrics_key_attributes", "metric_timestamp_cache_size",
                 "add_resource_attributes", "enable_metrics_sampling_method")
            ),
            "histogram": {
                "disable": None,
                "unit": None,
                "dimensions": _DIMENSIONS,
                "explicit": {"buckets": None},
                "exponential": {"max_size": None},
            },
            "dimensions": _DIMENSIONS,
            "calls_dimensions": _DIMENSIONS,
            "exemplars": dict.fromkeys(("enabled", "max_per_data_point")),
            "events": {"enabled": None, "dimensions": _DIMENSIONS},
        },
    },
    "exporters": {
        # Its old name, otlphttp, is an alias that is going away.
        "otlp_http": {
            **_HTTP_CLIENT,
            **dict.fromkeys(
                ("encoding", "traces_endpoint", "metrics_endpoint", "logs_endpoint",
                 "profiles_endpoint")
            ),
            "retry_on_failure": _RETRY,
            "sending_queue": _QUEUE,
        },
        "prometheus": {
            **_HTTP_SERVER,
            **dict.fromkeys(
                ("namespace", "send_timestamps", "metric_expiration", "enable_open_metrics",
                 "translation_strategy", "without_scope_info")
            ),
            "const_labels": FREE,
            "resource_constant_labels": FREE,
            "sending_queue": _QUEUE,
        },
    },
    "extensions": {
        "health_check": {**_HTTP_SERVER, "path": None, "response_body": FREE},
        "file_storage": {
            **dict.fromkeys(
                ("directory", "timeout", "fsync", "create_directory", "directory_permissions",
                 "recreate")
            ),
            "compaction": dict.fromkeys(
                ("directory", "on_start", "on_rebound", "rebound_needed_threshold_mib",
                 "rebound_trigger_threshold_mib", "check_interval", "max_transaction_size",
                 "cleanup_on_start")
            ),
        },
        "basicauth": {
            "client_auth": dict.fromkeys(
                ("username", "password", "username_file", "password_file")
            ),
            "htpasswd": dict.fromkeys(("file", "inline")),
        },
    },
}  # fmt: skip

SERVICE: Final[dict[str, Any]] = {
    "extensions": None,
    "pipelines": FREE,
    "telemetry": {
        "logs": FREE,
        "resource": FREE,
        "metrics": {
            "level": None,
            "readers": [
                {
                    "pull": {
                        "exporter": {
                            "prometheus": {
                                **dict.fromkeys(
                                    ("host", "port", "without_scope_info", "without_units",
                                     "without_type_suffix")
                                ),
                                "with_resource_constant_labels": {
                                    "included": None,
                                    "excluded": None,
                                },
                            }
                        }
                    },
                    "periodic": FREE,
                }
            ],
        },
    },
}  # fmt: skip
