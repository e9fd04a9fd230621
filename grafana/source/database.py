"""Pools and locks: is a pool exhausted, who has its connections, who waits for a lock."""

from __future__ import annotations

from typing import Final

from grafana.source.panels import Board, Kind, Query, Section, graph, stat, table

_FULL: Final = (
    'db_client_connection_count{state="used",<family>}'
    " / ignoring (state) db_client_connection_max{<family>}"
)
# Who does not wait waits for 0 s: without waits within five minutes the rule has no number.
_WAIT: Final = (
    "(service_pool:db_client_connection_wait_time_seconds:p95_5m{<family>} >= 0"
    " or 0 * max by (service_name, pool) (db_client_connection_max{<family>}))"
)
_SITE: Final = "span.code.function.name, span.code.file.path, span.code.line.number"

VERDICT: Final = Section(
    "Is a pool exhausted?",
    (
        stat(
            "How full is the fullest pool?", "percentunit", f"max({_FULL})",
            normal="Below 80 %.",
            todo="At 100 % with somebody waiting everything that needs the database hangs.",
            alert="DBPoolExhausted",
        ),
        stat(
            "How many wait for a connection?", "short",
            "sum(db_client_connection_pending_requests{<family>})",
            normal="0.",
            todo="Find who has the connections: *Who has had a connection for long?*, below.",
        ),
        stat(
            "For how long has one been out?", "s",
            "max(db_client_connection_oldest_use_age_seconds{<family>})",
            normal="As long as the longest transaction: a second.",
            todo="It rises with the clock: a leak, a transaction left open, or a peer that is "
            "asked inside a transaction.",
            alert="LongTransaction",
        ),
        stat(
            "How long do they wait?", "s",
            f"max({_WAIT})",
            normal="0 s: nobody waited within five minutes; else p95 below 0.1 s.",
            todo="The pool is too small for the load, or connections are kept too long.",
            alert="DBPoolWait",
        ),
        stat(
            "How many got none?", "short",
            "sum(increase(db_client_connection_timeouts_total{<family>}[5m]))",
            normal="0 within five minutes.",
            todo="Those requests failed after waiting for the whole limit of the pool.",
            alert="DBPoolTimeouts",
        ),
        stat(
            "Can connections be opened?", "short",
            "sum(increase(db_client_connection_errors_total{<family>}[2m]))",
            normal="0 failures within two minutes.",
            todo="PostgreSQL is down, refuses, or has no connection left: ask `pg_isready`.",
            alert="DBConnectionFailure",
        ),
    ),
)  # fmt: skip

WHERE: Final = Section(
    "Which pool, since when?",
    (
        graph(
            "How full is each pool?", "percentunit",
            Query(f"topk(12, max by (service_name, pool) ({_FULL}))", "{{service_name}} {{pool}}"),
            normal="Below 80 %, with peaks.",
            todo="Full at the moment the 504s began: it is the way, seldom the cause. Who has "
            "the connections is.",
            alert="DBPoolExhausted",
        ),
        graph(
            "Who waits for a connection?", "short",
            Query("topk(12, sum by (service_name, pool) "
                  "(db_client_connection_pending_requests{<family>}))",
                  "{{service_name}} {{pool}}"),
            normal="Nobody.",
            todo="Growing without end: nothing comes back. Up and down: too small for the load.",
        ),
        graph(
            "How long do 95 % of those that wait have to wait?", "s",
            Query(f"topk(12, {_WAIT})", "{{service_name}} {{pool}}"),
            normal="0 s where nobody waits, else below 0.1 s.",
            todo="Compare with how long connections are kept, beside it.",
            alert="DBPoolWait",
        ),
        graph(
            "How long is a connection kept?", "s",
            *(
                Query(f"topk(12, histogram_quantile({share}, sum by (service_name, pool, le) (rate("
                      "db_client_connection_use_time_seconds_bucket{<family>}[$__rate_interval]))))",
                      f"p{share * 100:g} {{{{service_name}}}} {{{{pool}}}}")
                for share in (0.5, 0.99)
            ),
            normal="Milliseconds. Of those that came back: one that is kept for ever is beside it.",
            todo="p99 high, p50 low: a few slow queries or calls inside a transaction.",
        ),
        graph(
            "For how long has the oldest been out?", "s",
            Query("topk(12, max by (service_name, pool) "
                  "(db_client_connection_oldest_use_age_seconds{<family>}))",
                  "{{service_name}} {{pool}}"),
            normal="Below a second, jumping.",
            todo="A straight slope is one connection that does not come back.",
            alert="LongTransaction",
        ),
        graph(
            "How many give up, or find no server?", "short",
            Query("topk(12, sum by (service_name, pool) "
                  "(increase(db_client_connection_timeouts_total{<family>}[5m])))",
                  "got none {{service_name}} {{pool}}"),
            Query("topk(12, sum by (service_name, pool) "
                  "(increase(db_client_connection_errors_total{<family>}[5m])))",
                  "not opened {{service_name}} {{pool}}"),
            normal="0 within five minutes.",
            todo="Not opened: the server. Got none: the pool.",
        ),
    ),
)  # fmt: skip

WHO: Final = Section(
    "Who has it, and who waits for a lock?",
    (
        table(
            "Who has had a connection for long?", Kind.SPANS,
            '{ span.why504.kind = "hold" && span.why504.resource =~ "db.pool:.*"'
            ' && resource.service.name =~ "$family.*" && duration > 1s }'
            f" | select(span.why504.resource, {_SITE})",
            normal="None.",
            todo="The line that took it; open the trace for what it did meanwhile.",
            width=12,
        ),
        table(
            "Who waited for a connection?", Kind.SPANS,
            '{ span.why504.kind = "wait" && span.why504.resource =~ "db.pool:.*"'
            ' && resource.service.name =~ "$family.*" && duration > 1s }'
            f" | select(span.why504.resource, span.why504.pool.waiting, {_SITE})",
            normal="None.",
            todo="They are the victims. The holders are to the left.",
            width=12,
        ),
        table(
            "Who holds a lock that others wait for?", Kind.SPANS,
            '{ span.why504.kind = "hold" && span.why504.resource =~ "db.lock:.*" }'
            " | select(span.why504.resource, span.db.query.text)",
            normal="None. Told by `why504 receive --postgres`, of the whole database.",
            todo="A session outside the service (psql, a migration) is named as such: end it with "
            "`pg_terminate_backend`, or commit.",
            width=12,
        ),
        table(
            "Who waits for a lock?", Kind.SPANS,
            '{ span.why504.kind = "wait" && span.why504.resource =~ "db.lock:.*" }'
            " | select(span.why504.resource, span.db.query.text)",
            normal="None.",
            todo="Give statements a `lock_timeout`, so that they fail instead of hanging.",
            width=12,
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    uid="why504-database",
    title="Pools and locks",
    question="Is a pool of connections exhausted, and who has them?",
    sections=(VERDICT, WHERE, WHO),
)
