"""What if: the record played again with one thing changed. Pure."""
