"""Answers of others, on their own traces: what the classic critical paths must reproduce."""
