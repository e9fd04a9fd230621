"""Locks and semaphores: those that the user named, and those that nobody did."""
