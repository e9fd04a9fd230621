"""Local stand-ins that speak the documented HTTP APIs of services that need an account."""
