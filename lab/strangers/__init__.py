"""Services of other people's habits, hung each in its way, and what telemetry alone says of it."""
