"""What the companion remembers, through Mem0's SDK."""
