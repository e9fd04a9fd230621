"""Four proofs that the reference service holds: `python -m lab.prove broker|llm|database|nightly`.

Each runs the whole service on real servers, breaks what it stands on, and compares what clients
and tables show with a target.
"""
