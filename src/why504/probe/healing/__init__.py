"""Ends a process that hangs, so that its supervisor starts another; opt-in."""
