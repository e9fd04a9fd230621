"""How it gets there: one room, its pace, retries, and why a P0 burns."""
