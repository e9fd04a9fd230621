"""Entities and rules: pure, no I/O, knowledge kept in tables."""
