"""What we go and look at: the gateway's access log, PostgreSQL's locks, RabbitMQ's alarms."""
