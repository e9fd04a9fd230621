"""What Grafana is given: data sources, and dashboards with the code that makes them."""
