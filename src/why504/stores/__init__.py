"""Evidence out: one port, one adapter a store."""
