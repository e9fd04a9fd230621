"""Dashboards as code: a file a dashboard, all of it tables; `make dashboards` writes the JSON."""
