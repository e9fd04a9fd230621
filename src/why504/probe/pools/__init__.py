"""What a service queues for: pools of connections, threads, and the limits that it runs with."""
