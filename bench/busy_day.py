"""A busy day, made up: a store of any size with two incidents in it, as an application tells it.

Eight instances with a pool of fifteen connections each answer requests all day. Twice an LLM takes
half a minute inside open transactions: those who hold a connection meanwhile starve the others,
who time out after sixty seconds at the gateway. What made it happen is known, so that an answer
can be wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from why504 import names
from why504.receive.segments import ROWS_PER_GROUP
from why504.receive.table import schema

BEGIN_NS: Final = 1_790_000_000_000_000_000
DAY_S: Final = 24 * 3600.0
INSTANCES: Final = 8
CONNECTIONS: Final = 15
GATEWAY_TIMEOUT_S: Final = 60.0
INCIDENT_S: Final = 1728.0
"""Twice of it is 4 % of the day."""
INCIDENTS_AT_S: Final = (30_000.0, 65_000.0)
LLM_S: Final = 45.0
BRIEF_S: Final = 0.7
LLM_SHARE: Final = 0.1
"""Of those who get a connection during an incident, so many call the LLM while they have it."""
SERVER: Final = 2
"""OTLP's number of the kind."""
CAUSE: Final = "B3"
SITE: Final = "service/scoring.py:88"

Floats = NDArray[np.float64]
_ROUTES: Final = ("/v1/conversations/end", "/v1/users", "/v1/messages", "/v1/friends")


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kind of row says, the same in all of them."""

    name: str
    kind: int
    service: str
    attributes: Mapping[str, object]
    record: str | None = None
    resource: str | None = None


_PLACE: Final = {
    names.CODE_FILE: "service/scoring.py",
    names.CODE_LINE: 88,
    names.CODE_FUNCTION: "score",
}
_CHECKOUT: Final = {
    names.CODE_FILE: "service/sessions.py",
    names.CODE_LINE: 31,
    names.CODE_FUNCTION: "session",
}
LLM: Final = Kind(
    "chat llama-3.3-70b", 3, "api",
    {names.GEN_AI_OPERATION: "chat", names.GEN_AI_PROVIDER: "groq", **_PLACE},
)  # fmt: skip
SELECT: Final = Kind(
    "SELECT users", 3, "api", {names.DB_SYSTEM: "postgresql", names.DB_OPERATION: "SELECT"}
)
HOLD: Final = Kind("hold db.pool:main", 1, "api", _CHECKOUT, names.HOLD, "db.pool:main")
WAIT: Final = Kind(
    "wait db.pool:main", 1, "api",
    {names.POOL_CAPACITY: CONNECTIONS, names.POOL_IN_USE: CONNECTIONS, **_CHECKOUT},
    names.WAIT, "db.pool:main",
)  # fmt: skip


def gateway(route: str) -> Kind:
    """Return the gateway's row of a route."""
    told = {names.GATEWAY_TIMEOUT_S: GATEWAY_TIMEOUT_S}
    return Kind(f"POST {route}", SERVER, names.GATEWAY_SERVICE, told)


def server(route: str) -> Kind:
    """Return the application's row of a route."""
    return Kind(
        f"POST {route}", SERVER, "api", {names.HTTP_METHOD: "POST", names.HTTP_ROUTE: route}
    )


def write(folder: Path, spans: int, victims: int, *, incident_s: float = INCIDENT_S) -> None:
    """Write a compacted store of about `spans` rows of which `victims` requests timed out."""
    numbers = np.random.default_rng(504)
    rows: list[pa.Table] = []
    for begun_s in INCIDENTS_AT_S:
        rows += _incident(numbers, begun_s, incident_s, victims // 2)
    told = sum(table.num_rows for table in rows)
    rows += _calm(numbers, max(0, spans - told) // 8)
    table = pa.concat_tables(rows).unify_dictionaries().sort_by("start_ns")
    (folder / "segments").mkdir(parents=True, exist_ok=True)
    step = ROWS_PER_GROUP * 8
    for number, start in enumerate(range(0, table.num_rows, step)):
        pq.write_table(
            table.slice(start, step),
            folder / "segments" / f"{number:020d}.parquet",
            row_group_size=ROWS_PER_GROUP,
            compression="zstd",
            use_dictionary=[f.name for f in schema() if not pa.types.is_fixed_size_binary(f.type)],
        )


def _incident(
    numbers: np.random.Generator, begun_s: float, length_s: float, victims: int
) -> Iterator[pa.Table]:
    """Yield who held the connections one after another, and who waited for one in vain."""
    starts: list[Floats] = []
    slow: list[NDArray[np.bool_]] = []
    where: list[NDArray[np.int64]] = []
    for connection in range(INSTANCES * CONNECTIONS):
        calls = numbers.random(int(length_s / BRIEF_S * 2)) < LLM_SHARE
        ends_s = np.cumsum(np.where(calls, LLM_S, BRIEF_S) * numbers.uniform(0.9, 1.1, len(calls)))
        fits = ends_s < length_s
        starts.append(begun_s + np.concatenate(([0.0], ends_s[fits][:-1])))
        slow.append(calls[fits])
        where.append(np.full(fits.sum(), connection % INSTANCES))
    start_s, calls_llm, instance = (
        np.concatenate(starts),
        np.concatenate(slow),
        np.concatenate(where),
    )
    for mine, lasts_s, inner in ((calls_llm, LLM_S, LLM), (~calls_llm, BRIEF_S, SELECT)):
        held_s = np.full(mine.sum(), lasts_s * 0.89)
        yield from _requests(numbers, When(start_s[mine] - 0.01, held_s, instance[mine]), inner)
    lost_s = np.sort(numbers.uniform(begun_s, begun_s + length_s - GATEWAY_TIMEOUT_S, victims))
    waited_s = np.full(victims, GATEWAY_TIMEOUT_S)
    yield from _timeouts(numbers, When(lost_s, waited_s, numbers.integers(0, INSTANCES, victims)))


def _calm(numbers: np.random.Generator, requests: int) -> Iterator[pa.Table]:
    """Yield requests all day long that nothing happens to: eight rows each."""
    start_s = np.sort(numbers.uniform(0, DAY_S, requests))
    length_s = numbers.gamma(2.0, 0.03, requests)
    instance = numbers.integers(0, INSTANCES, requests)
    yield from _requests(numbers, When(start_s, length_s, instance), SELECT, selects=5)


class When(NamedTuple):
    """When some requests began, how long they took, and in which instance they ran."""

    start_s: Floats
    length_s: Floats
    instance: NDArray[np.int64]

    def those(self, mine: NDArray[np.bool_]) -> When:
        """Return some of them."""
        return When(self.start_s[mine], self.length_s[mine], self.instance[mine])

    def part(self, after_s: float, length_s: Floats) -> When:
        """Return something inside of each, from `after_s` on."""
        return When(self.start_s + after_s, length_s, self.instance)


def _requests(
    numbers: np.random.Generator, when: When, inner: Kind, *, selects: int = 1
) -> Iterator[pa.Table]:
    """Yield requests that hold a connection and do something with it: 3 rows and `selects`."""
    routes = numbers.integers(0, len(_ROUTES), len(when.start_s))
    for number, route in enumerate(_ROUTES):
        mine = when.those(routes == number)
        lasted_s = mine.length_s
        tree = _Tree(numbers, len(lasted_s))
        yield tree.rows(gateway(route), mine.part(-0.002, lasted_s + 0.02), 200)
        yield tree.rows(server(route), mine.part(0.0, lasted_s + 0.016), 200)
        yield tree.rows(HOLD, mine.part(0.01, lasted_s))
        part_s = lasted_s * 0.98 / selects
        for piece in range(selects):
            begun = mine._replace(start_s=mine.start_s + piece * part_s)
            yield tree.rows(inner, begun.part(0.011, part_s))


def _timeouts(numbers: np.random.Generator, when: When) -> Iterator[pa.Table]:
    """Yield requests that wait for a connection until the gateway gives up, and a second more."""
    routes = numbers.integers(0, len(_ROUTES), len(when.start_s))
    for number, route in enumerate(_ROUTES):
        mine = when.those(routes == number)
        tree = _Tree(numbers, len(mine.start_s))
        yield tree.rows(gateway(route), mine, 504)
        yield tree.rows(server(route), mine.part(0.002, mine.length_s + 1.0), 500)
        yield tree.rows(WAIT, mine.part(0.005, mine.length_s + 0.9))


class _Tree:
    """Ids of some requests: the gateway's row is the root, the application's hangs below it."""

    def __init__(self, numbers: np.random.Generator, count: int) -> None:
        self._numbers, self._count = numbers, count
        self._trace, self._top, self._app = (_ids(numbers, count, size) for size in (16, 8, 8))

    def rows(self, kind: Kind, when: When, status: int | None = None) -> pa.Table:
        """Return rows of one kind as the receiver would have stored them."""
        own, parent, place, places = self._placed(kind, when)
        start_ns = BEGIN_NS + (when.start_s * 1e9).astype(np.int64)
        length_ns = (when.length_s * 1e9).astype(np.int64)
        columns = {
            "trace_id": self._trace,
            "span_id": own,
            "parent_id": parent,
            "name": self._all(kind.name),
            "kind": pa.array(np.full(self._count, kind.kind, np.int8)),
            "start_ns": pa.array(start_ns),
            "end_ns": pa.array(start_ns + length_ns),
            "status": pa.array(np.zeros(self._count, np.int8)),
            "service": self._all(kind.service),
            "instance": pa.DictionaryArray.from_arrays(pa.array(place), pa.array(places)),
            "record": self._all(kind.record),
            "resource": self._all(kind.resource),
            "http_status": status and pa.array(np.full(self._count, status, np.int16)),
            "attributes": self._all(json.dumps(dict(kind.attributes))),
            "resource_attributes": self._all("{}"),
        }
        arrays = [
            pa.nulls(self._count, field.type) if columns.get(field.name) is None
            else columns[field.name]
            for field in schema()
        ]  # fmt: skip
        return pa.Table.from_arrays(arrays, schema=schema())

    def _placed(
        self, kind: Kind, when: When
    ) -> tuple[pa.Array, pa.Array | None, NDArray[np.int32], list[str]]:
        if kind.service == names.GATEWAY_SERVICE:
            return self._top, None, np.zeros(self._count, np.int32), ["nginx"]
        own = self._app if kind.kind == SERVER else _ids(self._numbers, self._count, 8)
        parent = self._top if kind.kind == SERVER else self._app
        places = [f"api-{number}:4001" for number in range(INSTANCES)]
        return own, parent, when.instance.astype(np.int32), places

    def _all(self, text: str | None) -> pa.Array | None:
        if text is None:
            return None
        one = pa.array(np.zeros(self._count, np.int32))
        return pa.DictionaryArray.from_arrays(one, pa.array([text]))


def _ids(numbers: np.random.Generator, count: int, size: int) -> pa.Array:
    raw = numbers.bytes(count * size)
    return pa.Array.from_buffers(pa.binary(size), count, [None, pa.py_buffer(raw)])
