"""The fault matrix: what is injected against what is named, under every condition."""
