"""The explorer on a large store in a real browser: how long people wait."""
