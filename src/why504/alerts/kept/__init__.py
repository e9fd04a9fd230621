"""What is on disk: alerts as they are, incidents, messages and what became of them."""
