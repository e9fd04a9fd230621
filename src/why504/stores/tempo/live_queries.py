"""The searches of one look at what goes on now: each tells enough to draw it without more."""

from __future__ import annotations

from typing import Final, NamedTuple

from why504 import names
from why504.stores.tempo.search import GATEWAY, WHO, of_kind, select, span


class Search(NamedTuple):
    """One search, and how many traces of it are looked at."""

    query: str
    most: int


_OPEN: Final = span(
    names.KIND, names.RESOURCE, names.OUTCOME, names.SNAPSHOT_OF, names.SNAPSHOT_SEQUENCE,
    names.SNAPSHOT_PARENT, names.SNAPSHOT_KIND, names.INFLIGHT_AGE_S,
)  # fmt: skip
_PLACE: Final = span(
    names.CODE_FILE, names.CODE_LINE, names.CODE_FUNCTION, names.CODE_STACKTRACE, names.THREAD_ID
)
_REQUEST: Final = span(
    names.HTTP_METHOD, names.HTTP_ROUTE, names.HTTP_STATUS, names.URL_PATH, names.ERROR_TYPE
)
_CALL: Final = span(
    names.DB_SYSTEM, names.DB_NAMESPACE, names.DB_OPERATION, names.DB_COLLECTION,
    names.MESSAGING_SYSTEM, names.SERVER_ADDRESS, names.SERVER_PORT, names.GEN_AI_OPERATION,
    names.GEN_AI_PROVIDER, names.GEN_AI_MODEL, names.CLIENT_TIMEOUT_S,
)  # fmt: skip
_POOL: Final = span(
    names.POOL_CAPACITY, names.POOL_IN_USE, names.POOL_WAITING, names.BACKEND_PID,
    names.REQUEST_ENDED, names.BACKOFF_STATUS, names.RETRY_AFTER_S, names.THREAD_NAME,
    names.HOLD_AT,
)  # fmt: skip
_STALL: Final = span(
    names.STALL_SAMPLES, names.STALL_PROGRESSING, names.STALL_CPU_S, names.GC_CPU_S,
    names.STALL_GIL_KEPT,
)  # fmt: skip
_VITALS: Final = span(
    names.CPU_USED_S, names.CPU_DELAY_S, names.CPU_THROTTLED_S, names.CPU_LIMIT,
    names.MEMORY_RSS, names.MEMORY_LIMIT, names.MAJOR_FAULTS,
)  # fmt: skip
_SHARED: Final = span(
    names.LOCK_SESSION, names.DB_QUERY, names.BROKER_TROUBLE, names.BROKER_BLOCKED,
    names.BROKER_BLOCKING,
)  # fmt: skip
_GATEWAY: Final = span(
    names.GATEWAY_TIMEOUT_S, names.GATEWAY_UPSTREAM_ADDRESS, names.GATEWAY_UPSTREAM_CONNECT_S,
    names.GATEWAY_UPSTREAM_HEADER_S, names.GATEWAY_UPSTREAM_STATUS, names.GATEWAY_ATTEMPTS,
)  # fmt: skip
_PARENT: Final = ("span:parentID", "status")
_GAVE_UP: Final = f"{{ {GATEWAY} && span.{names.HTTP_STATUS} >= 499 }}"

OPEN: Final = Search(
    f"{{ span.{names.SNAPSHOT_SEQUENCE} > 0 }}"
    + select(*WHO, *_PARENT, *_OPEN, *_PLACE, *_REQUEST, *_CALL, *_POOL, *_STALL),
    5_000,
)
"""What is told while it is open."""
ONCE: Final = (
    Search(_GAVE_UP + select(*WHO, *_PARENT, *_REQUEST, *_GATEWAY), 5_000),
    Search(
        f'{{ span.{names.KIND} =~ "hold|wait|stall" }}'
        + select(*WHO, *_PARENT, *_OPEN, *_PLACE, *_POOL, *_STALL),
        1_000,
    ),
    Search(of_kind(names.VITALS) + select(*WHO, *_OPEN, *_VITALS, *_STALL), 1_000),
    Search(
        f'{{ span.{names.RESOURCE} =~ "(db.lock|broker):.*" }}'
        + select(*WHO, *_PARENT, *_OPEN, *_CALL, *_POOL, *_SHARED),
        1_000,
    ),
    Search(
        f'{{ name =~ "{names.LOCKS_WATCHED}|{names.BROKER_WATCHED}" }}' + select(*WHO, *_CALL), 100
    ),
    Search("{ kind=server }" + select(*WHO, *_PARENT, *_REQUEST, *_GATEWAY), 100),
)
"""Who was given up on; what was held, waited for and stood; what processes tell of themselves;
locks and alarms; whether anybody looked for those; and the usual."""
