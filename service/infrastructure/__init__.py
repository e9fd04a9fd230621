"""Adapters: HTTP, PostgreSQL, the LLM and messaging."""
