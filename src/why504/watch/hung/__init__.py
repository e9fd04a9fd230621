"""A process that hangs and was never instrumented, read from outside: never written to."""
