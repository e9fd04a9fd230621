"""How the worker hears of finished conversations."""
