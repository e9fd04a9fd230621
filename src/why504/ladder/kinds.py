"""Every kind of limit that can be judged, outermost first: its words, and what its absence does.

The identifiers are a contract: applications declare limits by them (`instrument(limits=...)`), and
probes of other versions tell them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of limit, in words that fit into sentences."""

    id: str
    label: str
    ends: str
    """As an outer limit: "The gateway gives up"."""
    lasts: str
    """As an inner limit: "waiting for a connection of the pool may take"."""
    setting: str
    """What one changes to change it."""
    endless: str = ""
    """What happens without the limit; empty: nothing that anybody has to know."""
    only_hint: bool = False
    """Whether its absence is worth a remark only."""


KINDS: Final = (
    Kind("client", "client", "The client gives up", "the client may wait", "the client's timeout"),
    Kind(
        "gateway",
        "gateway",
        "The gateway gives up",
        "the gateway may wait",
        "proxy_read_timeout",
        "a request that hangs hangs for ever, and nobody is ever told",
    ),
    Kind(
        "gateway_connect",
        "gateway connects",
        "The gateway stops connecting",
        "connecting to the application may take",
        "proxy_connect_timeout",
    ),
    Kind(
        "gateway_send",
        "gateway sends",
        "The gateway stops sending",
        "sending the request to the application may take",
        "proxy_send_timeout",
    ),
    Kind(
        "client_body",
        "gateway reads body",
        "The gateway stops reading",
        "a pause in the client's request may take",
        "client_body_timeout",
    ),
    Kind(
        "keepalive",
        "gateway keeps idle",
        "The gateway closes an idle connection",
        "an idle connection of a client may last",
        "keepalive_timeout",
    ),
    Kind(
        "health_probe",
        "prober of health",
        "Whoever asks for the health gives up",
        "asking for the health may take",
        "the prober's timeout",
    ),
    Kind(
        "application",
        "application",
        "The application ends a request",
        "the application may take",
        "the application's deadline",
        "requests go on working after the gateway answered 504, and pile up until a restart",
    ),
    Kind(
        "analysis",
        "analysis",
        "The budget of an analysis ends",
        "an analysis may take",
        "the analysis' budget",
        "several slow calls in a row add up to any length",
    ),
    Kind(
        "llm",
        "LLM call",
        "A call of the LLM ends",
        "a call of the LLM may take",
        "llm",
        "a model that answers slowly, or never, holds its request for as long as it likes",
    ),
    Kind(
        "memory",
        "memory call",
        "A call of the memory ends",
        "a call of the memory may take",
        "memory",
        "a memory service that never answers holds its request for ever",
    ),
    Kind(
        "broker",
        "broker",
        "A call of the broker ends",
        "a call of the broker may take",
        "the broker's timeouts",
        "a broker that is unreachable, frozen or short of memory holds whoever publishes, for ever",
    ),
    Kind(
        "redis",
        "Redis call",
        "A call of Redis ends",
        "a call of Redis may take",
        "socket_timeout of Redis",
        "a frozen Redis freezes every request that asks it",
    ),
    Kind(
        "call",
        "call",
        "The call ends",
        "the call may take",
        "its timeout",
        "a peer that never answers holds its request for ever",
    ),
    Kind(
        "pool",
        "wait for a connection",
        "Waiting for a connection of the pool ends",
        "waiting for a connection of the pool may take",
        "pool_timeout",
        "when all connections are taken, every request queues until the gateway answers 504",
    ),
    Kind(
        "connect",
        "connecting to the database",
        "Connecting to the database ends",
        "connecting to the database may take",
        "connect_timeout",
        "a database behind a dead network holds its callers for as long as the kernel tries",
    ),
    Kind(
        "statement",
        "SQL statement",
        "The database ends a statement",
        "a statement may take",
        "statement_timeout",
        "one slow query keeps its connection, and enough of them take the whole pool",
    ),
    Kind(
        "lock",
        "wait for a lock",
        "Waiting for a lock ends",
        "waiting for a lock may take",
        "lock_timeout",
        "who waits for a lock is ended by the statement's limit at best, and is not told why",
        only_hint=True,
    ),
    Kind(
        "idle_in_transaction",
        "idle in transaction",
        "The database ends an idle transaction",
        "a transaction that does nothing may stay open",
        "idle_in_transaction_session_timeout",
        "a transaction that its owner forgot keeps its locks and its connection for ever",
    ),
    Kind(
        "heartbeat",
        "broker's heartbeat",
        "The broker's heartbeat gives up",
        "a dead connection to the broker may go unnoticed",
        "heartbeat",
        "a broker that vanished is noticed by TCP alone, after a quarter of an hour or more",
        only_hint=True,
    ),
    Kind(
        "health",
        "health check",
        "A health check ends",
        "a health check may take",
        "the health check's limit",
        "the health check hangs with what it checks, and a healthy process is restarted",
    ),
)

BY_ID: Final = {kind.id: kind for kind in KINDS}
DEPTH: Final = {kind.id: depth for depth, kind in enumerate(KINDS)}
