"""Redis: what instances of the service share, and never need."""
