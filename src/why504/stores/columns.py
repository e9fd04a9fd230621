"""The queries of a sampled reading: columns of who timed out, waited and held, by DuckDB."""

from __future__ import annotations

from typing import Final

from why504 import names

_OVERLAPS: Final = "start_ns < $end_ns AND end_ns >= $start_ns"
_KEY: Final = """CASE WHEN starts_with(resource, 'db.lock:') OR starts_with(resource, 'broker:')
    OR starts_with(resource, 'llm:') THEN resource ELSE resource || ' of ' || instance END"""
"""As `diagnose.blame.resource_key` has it."""

HEARD: Final = "SELECT instance, max(end_ns) AS heard_ns FROM read_parquet($files) GROUP BY 1"
GROUPS: Final = """
    SELECT file_name, row_group_id, any_value(row_group_num_rows) AS number,
        min(CAST(stats_min_value AS BIGINT)) AS start_ns,
        max(CAST(stats_max_value AS BIGINT)) AS end_ns
    FROM parquet_metadata($files) WHERE path_in_schema IN ('start_ns', 'end_ns')
    GROUP BY file_name, row_group_id
"""
EXTENT: Final = f"SELECT min(start_ns), max(end_ns) FROM ({GROUPS})"  # noqa: S608
ROWS: Final = f"SELECT sum(number) FROM ({GROUPS}) WHERE {_OVERLAPS}"  # noqa: S608
"""Rows of the row groups that overlap a window: no more are in it."""
TIMED_OUT: Final = f"""
    SELECT hash(trace_id) AS trace, hash(name, http_status) AS alike, start_ns, end_ns
    FROM read_parquet($files)
    WHERE http_status IN (499, 504) AND service = '{names.GATEWAY_SERVICE}' AND {_OVERLAPS}
"""  # noqa: S608, our own words
"""Requests that somebody may have given up on."""
TOOK_LONG: Final = f"""{TIMED_OUT}
    UNION ALL SELECT hash(trace_id) AS trace, hash(name, http_status) AS alike, start_ns, end_ns
    FROM read_parquet($files) WHERE kind = 2 AND end_ns - start_ns >= $slow_ns AND {_OVERLAPS}
"""  # noqa: S608
"""Those and the ones that took longer than was asked for."""
REQUESTS: Final = f"""
    SELECT count(*) AS number FROM read_parquet($files)
    WHERE {_OVERLAPS} AND kind = 2 AND parent_id IS NULL AND snapshot_of IS NULL
"""  # noqa: S608
INTERVALS: Final = f"""
    WITH records AS NOT MATERIALIZED (
        FROM read_parquet($files)
        WHERE record IN ('{names.WAIT}', '{names.HOLD}') AND start_ns < $end_ns
            AND resource IS NOT NULL
    ),
    heard AS (SELECT unnest($instances) AS instance, unnest($heard_ns) AS heard_ns),
    told AS (
        SELECT trace_id, snapshot_of, instance, record, any_value({_KEY}) AS resource,
            min(start_ns) AS start_ns, max(end_ns) AS seen_ns
        FROM records WHERE snapshot_of IS NOT NULL GROUP BY ALL
    ),
    still_open AS (
        SELECT trace_id, record, resource, start_ns,
            greatest(seen_ns, least(heard_ns, seen_ns + (seen_ns - start_ns) // 2 + 3000000000))
                AS end_ns
        FROM told JOIN heard USING (instance) WHERE NOT EXISTS (
            FROM read_parquet($files) AS final
            WHERE final.trace_id = told.trace_id AND final.span_id = told.snapshot_of
        )
    ),
    known AS (
        SELECT trace_id, record, {_KEY} AS resource, start_ns, end_ns
        FROM records WHERE snapshot_of IS NULL AND end_ns >= $start_ns
        UNION ALL SELECT * FROM still_open WHERE end_ns >= $start_ns
    )
    SELECT hash(trace_id) AS trace, record = '{names.HOLD}' AS held, hash(resource) AS resource,
        start_ns, end_ns
    FROM known
"""  # noqa: S608
"""Waits and holds; what is open lasts as `diagnose.endings.end_of` says.

Not materialized, so that each use reads what it needs: of snapshots all, of the rest the window.
"""
RESOURCES: Final = f"""
    SELECT DISTINCT {_KEY} AS resource, hash({_KEY}) AS code
    FROM read_parquet($files)
    WHERE record = '{names.HOLD}' AND resource IS NOT NULL AND {_OVERLAPS}
"""  # noqa: S608
LOCK_OWNERS: Final = f"""
    WITH records AS NOT MATERIALIZED (
        SELECT trace_id, resource, start_ns, attributes -> '$."{names.BACKEND_PID}"' AS pid
        FROM read_parquet($files)
        WHERE record = '{names.HOLD}' AND {_OVERLAPS}
    )
    SELECT hash(owner.trace_id) AS trace, min(owner.start_ns) AS start_ns
    FROM records AS owner JOIN records AS lock USING (pid)
    WHERE starts_with(lock.resource, 'db.lock:') AND starts_with(owner.resource, 'db.pool:')
    GROUP BY trace
"""  # noqa: S608
"""Requests that had the connection of a session that kept a lock: one matters, however brief."""
USUAL: Final = f"""
    SELECT hash(trace_id) AS trace, min(start_ns) AS start_ns FROM read_parquet($files)
    WHERE {_OVERLAPS} AND kind = 2 AND snapshot_of IS NULL GROUP BY trace
"""  # noqa: S608
_DECIDES: Final = f"""record IN ('{names.STALL}', '{names.VITALS}')
    OR starts_with(resource, 'db.lock:') OR starts_with(resource, 'broker:')
    OR name IN ('{names.LOCKS_WATCHED}', '{names.BROKER_WATCHED}')"""


def chosen_rows(columns: str) -> str:
    """Return the query of all rows of the `chosen` traces."""
    return _rows(columns, "hash(trace_id) IN (SELECT unnest($chosen::UBIGINT[]))")


def deciding_rows(columns: str) -> str:
    """Return the query of what is rare and decides, which is always read."""
    return _rows(columns, _DECIDES)


def _rows(columns: str, which: str) -> str:
    return f"""
        SELECT {columns}, hash(trace_id) AS trace FROM read_parquet($files)
        WHERE {_OVERLAPS} AND ({which})
    """  # noqa: S608
