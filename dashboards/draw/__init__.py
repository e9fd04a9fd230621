"""Pure drawing: model objects in, rows, text and chart specifications out."""
