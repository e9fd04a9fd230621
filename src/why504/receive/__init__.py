"""Telemetry that comes to us: OTLP over HTTP into durable Parquet segments."""
