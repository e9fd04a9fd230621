"""Spans: whose provider makes them, and the spans of what the application calls."""
