"""Brokers: publishing, connecting, and the messages that a worker is at."""
