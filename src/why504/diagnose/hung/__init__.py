"""A first guess at why a process hangs that nobody instrumented: a snapshot in, a guess out."""
