"""Benchmarks: `make bench-...` prints the figure, its target and a baseline of the same run."""
