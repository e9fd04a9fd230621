"""`python -m why504.cli`."""

from why504.cli import app

app()
