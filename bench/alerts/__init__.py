"""`make bench-alerts`: the router as a process, killed and put under load, judged by an oracle."""
