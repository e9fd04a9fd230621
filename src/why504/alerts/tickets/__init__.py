"""Tickets for people who look at it by day: the port, and an adapter for each tracker."""
