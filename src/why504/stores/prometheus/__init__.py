"""Counters and gauges from Prometheus, or what speaks its API. Tried against real servers."""
