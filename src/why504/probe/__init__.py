"""Inside the user's process: spans, pool waits and holds, loop stalls, what is in flight."""
