"""Evidence from Grafana Tempo, over its HTTP API. Tried against recordings of Tempo 3.0.3."""
