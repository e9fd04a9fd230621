"""Pure: evidence in, findings out."""
