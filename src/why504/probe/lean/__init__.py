"""Spans that cost little: made, encoded and sent without OpenTelemetry's SDK in between.

Why, and what it gives up: docs/adr/0016-spans-of-our-own-make.md.
"""
