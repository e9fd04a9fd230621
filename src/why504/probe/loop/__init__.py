"""Event loops: what keeps one from turning, and at which line."""
