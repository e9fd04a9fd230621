"""The baselines: who held a pool while victims waited, by plain joins; and the dense case.

They answer one hop only, which names innocent holders; what they show is what joining costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DENSE_HOLDS: Final = 1_230_000
DENSE_WAITS: Final = 100_000
_DENSE_S: Final = 7_500.0
_HOLD_S: Final = 0.7
_WAIT_S: Final = 18.0
_POOLS: Final = 8
_RANKS: Final = 1_000
"""Of over a million holders nobody reads more."""

_LOST: Final = """
    SELECT hash(wait.resource, wait.instance) AS pool, greatest(wait.start_ns, gate.start_ns) AS a,
        least(wait.end_ns, gate.end_ns) AS b
    FROM read_parquet($files) AS gate JOIN read_parquet($files) AS wait USING (trace_id)
    WHERE gate.http_status = 504 AND gate.service = 'gateway' AND wait.record = 'wait'
"""
_HELD: Final = """
    SELECT hash(resource, instance) AS pool, trace_id AS holder, start_ns AS a, end_ns AS b
    FROM read_parquet($files), (SELECT min(a) AS since, max(b) AS until FROM lost)
    WHERE record = 'hold' AND end_ns >= since AND start_ns < until
"""
_RANKED: Final = "SELECT holder, sum(seconds) AS s FROM pairs GROUP BY holder ORDER BY s DESC"


def _duckdb(folder: Path, pairs: str) -> dict[str, Any]:
    import duckdb

    database = duckdb.connect()
    files = [str(file) for file in sorted((folder / "segments").glob("*.parquet"))]
    for name, sql in (("lost", _LOST), ("held", _HELD), ("pairs", pairs)):
        given = {"files": files} if "$files" in sql else {}
        database.execute(f"CREATE TEMP TABLE {name} AS {sql}", given)
    holders = database.execute(_RANKED).fetchnumpy()["holder"]
    return {"holders": len(holders)}


def duckdb_hash_join(folder: Path) -> dict[str, Any]:
    """Join on the pool; each pair is looked at."""
    overlap = "(least(lost.b, held.b) - greatest(lost.a, held.a)) / 1e9"
    return _duckdb(
        folder,
        f"SELECT holder, {overlap} AS seconds FROM lost JOIN held USING (pool) "  # noqa: S608
        f"WHERE {overlap} > 0",
    )


def duckdb_iejoin(folder: Path) -> dict[str, Any]:
    """Join on two inequalities, the pool folded into the axis of time."""
    return _duckdb(
        folder,
        """
        WITH first AS (SELECT min(a) AS zero FROM held),
        l AS (SELECT pool, a - zero + (pool % 1024) * 200000000000000 AS a,
              b - zero + (pool % 1024) * 200000000000000 AS b FROM lost, first),
        h AS (SELECT holder, pool, a - zero + (pool % 1024) * 200000000000000 AS a,
              b - zero + (pool % 1024) * 200000000000000 AS b FROM held, first)
        SELECT holder, (least(l.b, h.b) - greatest(l.a, h.a)) / 1e9 AS seconds
        FROM l JOIN h ON l.a < h.b AND l.b > h.a
        """,
    )


def _tables(folder: Path) -> tuple[pa.Table, pa.Table]:
    import duckdb

    database = duckdb.connect()
    given = {"files": [str(file) for file in sorted((folder / "segments").glob("*.parquet"))]}
    database.execute(f"CREATE TEMP TABLE lost AS {_LOST}", given)
    held = database.execute(_HELD, given).to_arrow_table()
    return database.execute("FROM lost").to_arrow_table(), held


def polars_join_where(folder: Path) -> dict[str, Any]:
    """Polars' join on inequalities."""
    return _polars(*_tables(folder))


def _polars(lost: pa.Table, held: pa.Table) -> dict[str, Any]:
    import polars as pl

    left, right = pl.DataFrame(lost).lazy(), pl.DataFrame(held).lazy()
    overlap = (pl.min_horizontal("b", "b_right") - pl.max_horizontal("a", "a_right")) / 1e9
    ranked = (
        left.join_where(
            right,
            pl.col("pool") == pl.col("pool_right"),
            pl.col("a") < pl.col("b_right"),
            pl.col("b") > pl.col("a_right"),
        )
        .group_by("holder")
        .agg(overlap.sum().alias("s"))
        .sort("s", descending=True)
        .collect()
    )
    return {"holders": len(ranked)}


def pandas_bins(folder: Path) -> dict[str, Any]:
    """Pandas has no join on inequalities: minutes in common first, overlap afterwards."""
    lost, held = (table.to_pandas() for table in _tables(folder))
    for frame in (lost, held):
        frame["bin"] = [
            range(a // 60_000_000_000, b // 60_000_000_000 + 1)
            for a, b in zip(frame["a"], frame["b"], strict=True)
        ]
        frame["row"] = np.arange(len(frame))
    pairs = lost.explode("bin").merge(held.explode("bin"), on=["pool", "bin"])
    pairs = pairs.drop_duplicates(["row_x", "row_y"])
    common = np.minimum(pairs["b_x"], pairs["b_y"]) - np.maximum(pairs["a_x"], pairs["a_y"])
    pairs = pairs.assign(seconds=common.clip(lower=0) / 1e9)
    return {"holders": len(pairs.groupby("holder")["seconds"].sum().sort_values(ascending=False))}


# --- the dense case ------------------------------------------------------------------------------


def write_dense(folder: Path) -> None:
    """Write waits and holds of eight pools, short and many: 39 million pairs overlap."""
    numbers = np.random.default_rng(504)
    folder.mkdir(parents=True)
    for name, count, length_s in (("lost", DENSE_WAITS, _WAIT_S), ("held", DENSE_HOLDS, _HOLD_S)):
        start_ns = (numbers.uniform(0, _DENSE_S, count) * 1e9).astype(np.int64)
        length_ns = (numbers.uniform(0.9, 1.1, count) * length_s * 1e9).astype(np.int64)
        columns = {
            "pool": numbers.integers(0, _POOLS, count),
            "holder": np.arange(count),
            "a": start_ns,
            "b": start_ns + length_ns,
        }
        pq.write_table(pa.table(columns).sort_by("a"), folder / f"{name}.parquet")


def rank(folder: Path) -> dict[str, Any]:
    """Rank the holders as the engine does, each moment divided among them: no pair is formed."""
    from why504.diagnose.steps import Presence

    holder, owed_s = _owed(*_both(folder), Presence.of)
    most = np.argpartition(owed_s, -_RANKS)[-_RANKS:]
    return {"ranked": len(holder[most[np.argsort(-owed_s[most])]])}


def off_by_s(folder: Path) -> float:
    """Return by how much the engine's seconds of any holder differ from the sum of its pairs.

    The joins don't divide waiting among the holders: each is taken for the only one here.
    """
    from why504.diagnose.steps import Presence

    def alone(begun_ns: Any, ended_ns: Any) -> Presence:
        holds = Presence.of(begun_ns, ended_ns)
        return Presence(holds.times_ns, np.ones_like(holds.count))

    paired = _paired(folder, len(_both(folder)[1]["holder"]))
    holder, owed_s = _owed(*_both(folder), alone)
    pairs_s = np.zeros(len(holder))
    pairs_s[paired["holder"]] = paired["s"]
    return float(np.abs(owed_s - pairs_s[holder]).max())


def _owed(
    lost: dict[str, Any], held: dict[str, Any], present: Callable[[Any, Any], Any]
) -> tuple[Any, Any]:
    """Return holders, and the seconds that each answers for."""
    from why504.stores.sampling import owed_by

    owed_s = np.zeros(len(held["a"]))
    for pool in range(_POOLS):
        waited, mine = (np.flatnonzero(side["pool"] == pool) for side in (lost, held))
        begun_ns, ended_ns = held["a"][mine], held["b"][mine]
        waits = lost["a"][waited], lost["b"][waited]
        owed_s[mine] = owed_by(*waits, begun_ns, ended_ns, present(begun_ns, ended_ns))
    return held["holder"], owed_s


def _both(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return waits and holds as columns, read as the engine's store reads them."""
    import duckdb

    with duckdb.connect() as database:
        sql = "SELECT pool, holder, a, b FROM read_parquet($file)"
        lost, held = (
            database.sql(sql, params={"file": str(folder / f"{name}.parquet")}).fetchnumpy()
            for name in ("lost", "held")
        )
    return lost, held


def pairs(folder: Path) -> int:
    """Return how many waits and holds overlap: begun before its end, less those over by then."""
    lost, held = _both(folder)
    total = 0
    for pool in range(_POOLS):
        waited, mine = lost["pool"] == pool, held["pool"] == pool
        begun = np.searchsorted(np.sort(held["a"][mine]), lost["b"][waited])
        over = np.searchsorted(np.sort(held["b"][mine]), lost["a"][waited], "right")
        total += int((begun - over).sum())
    return total


def dense_duckdb(folder: Path) -> dict[str, Any]:
    """The dense case by DuckDB's join on inequalities."""
    return {"ranked": len(_paired(folder, _RANKS)["holder"])}


def _paired(folder: Path, ranks: int) -> dict[str, Any]:
    import duckdb

    sql = """
        WITH l AS (SELECT a + pool * 200000000000000 AS a, b + pool * 200000000000000 AS b
                   FROM read_parquet($lost)),
        h AS (SELECT holder, a + pool * 200000000000000 AS a, b + pool * 200000000000000 AS b
              FROM read_parquet($held))
        SELECT holder, sum(least(l.b, h.b) - greatest(l.a, h.a)) / 1e9 AS s
        FROM l JOIN h ON l.a < h.b AND l.b > h.a GROUP BY holder ORDER BY s DESC LIMIT $ranks
    """
    given = {name: str(folder / f"{name}.parquet") for name in ("lost", "held")} | {"ranks": ranks}
    return duckdb.connect().sql(sql, params=given).fetchnumpy()


def dense_polars(folder: Path) -> dict[str, Any]:
    """The dense case by polars."""
    lost = pq.read_table(folder / "lost.parquet").drop_columns("holder")
    return _polars(lost, pq.read_table(folder / "held.parquet"))


Work = Callable[[Path], dict[str, Any]]
JOINS: Final[Mapping[str, Work]] = {
    "DuckDB hash join": duckdb_hash_join,
    "DuckDB IEJoin": duckdb_iejoin,
    "polars join_where": polars_join_where,
    "pandas": pandas_bins,
}
DENSE: Final[Mapping[str, Work]] = {
    "dense: DuckDB IEJoin": dense_duckdb,
    "dense: polars": dense_polars,
}
ALL: Final[Mapping[str, Work]] = {"rank": rank, **JOINS, **DENSE}
