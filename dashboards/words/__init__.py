"""What the pages say; one module a page."""
