"""What the engine's short words mean, for people who see them for the first time.

The words are fixed by `why504.model` (Finding.mechanism, Leaf.kind).
"""

from __future__ import annotations

from typing import Final

MECHANISMS: Final = {
    "pool": "requests queued for a database connection and none came free",
    "loop": "one piece of code kept the event loop busy, so no other request could move",
    "lock": "requests queued behind a lock in the database",
    "limiter": "all worker threads were taken",
    "queue": "requests queued before they were taken up",
    "budget": "the gateway gave up before the application was allowed to finish",
    "none": "the slow call was in the requests themselves; nothing was shared",
    "unknown": "how it reached the requests is not known",
}

LEAVES: Final = {
    "run": "code that was running",
    "stall": "code that blocked the event loop",
    "ext": "a call to something outside the process",
    "leak": "a connection that was never given back",
    "session": "a database session outside the application",
    "unknown": "not known: evidence is missing",
    "cycle": "holders that wait for each other",
}

GLOSSARY: Final = """
- **504**: the gateway (nginx) waited for the application, gave up, and answered 504 itself.
- **Gave up**: the moment at which the gateway stopped waiting.
- **Blocked in**: what the request was doing when the gateway gave up.
- **Held by**: who had what the request was waiting for. A holder is often stuck too; it is not
  the cause by itself.
- **Cause**: where the lost seconds come to rest when waiting is followed from holder to holder.
- **Lost seconds**: for each 504, the time from its start until the gateway gave up.
- **Confidence**: the share of all lost seconds that leads to this cause.
- **Connection pool** (`db.pool:…`): the few database connections that all requests share.
- **Event loop** (`loop:…`): the one thread that moves every request of a process; while one piece
  of code blocks it, all of them stand still.
- **Still open**: it had not ended when the process was last heard of.
- **Trace**: all that is known of one request, under one id.
"""
