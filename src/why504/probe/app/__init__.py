"""The application: how the probe gets into it, and what is known of its requests."""
