"""The real parts that a run of the lab stands on: PostgreSQL, nginx, a mute broker, a slow link."""
