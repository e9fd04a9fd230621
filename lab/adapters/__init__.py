"""Adapters as real projects write them: each has one well-known mistake, told in its docstring.

They are swapped in at the service's composition root (lab/app.py); nothing else differs from the
good service, and nothing that they send says that they are here.
"""
