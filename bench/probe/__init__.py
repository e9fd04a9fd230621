"""What the probe costs, and whether it ever harms: docs/cost.md."""
