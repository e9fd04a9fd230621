"""What a service calls: databases, Redis, HTTP, LLMs."""
