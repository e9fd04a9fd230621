"""The SQLAlchemy engines of an application: the pool and the statements of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from why504.probe.clients.database import Database, StatementSpans
from why504.probe.exposed.metrics import Metrics
from why504.probe.inflight import Registry
from why504.probe.pools.pool import PoolWatch
from why504.probe.safety import Guard
from why504.probe.spans.calls import Calls
from why504.probe.telling.openrecord import RecordBook

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


class Engines:
    """Watches of several engines, by the names that their pools are to have."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        book: RecordBook,
        *,
        registry: Registry,
        metrics: Metrics,
        hold_after_s: float,
    ) -> None:
        self.pools: list[PoolWatch] = []
        self._statements: list[StatementSpans] = []
        for name, engine in engines.items():
            pool = PoolWatch(
                engine, name, book, registry=registry, metrics=metrics, hold_after_s=hold_after_s
            )
            self.pools.append(pool)
            # A view of an engine has its dialect: a statement is told once.
            if all(engine.dialect is not known.dialect for known in self._statements):
                self._statements.append(StatementSpans(engine, Database.of(engine, name)))

    def attach(self, guard: Guard, calls: Calls) -> None:
        """Hook every engine; `detach` undoes it."""
        for pool in self.pools:
            pool.attach(guard, calls)
        for statements in self._statements:
            statements.attach(guard, calls)

    def detach(self) -> None:
        """Remove every hook."""
        for pool in self.pools:
            pool.detach()
        for statements in self._statements:
            statements.detach()
