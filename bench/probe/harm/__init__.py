"""`make bench-harm`: what the probe does to its host where it is not asked for anything.

Each module is one question, with what runs in the variant's own process, `inside`, beside it.
"""
