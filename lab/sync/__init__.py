"""The other half of the world's FastAPI services: `def` endpoints, each in one of anyio's threads.

The same routes over the same tables as the reference service, with synchronous clients only. Good
by default; `variants.py` swaps one part for one mistake, as lab/adapters does for the service.
"""
