"""The pools of one library, each with who waits and who has something; as long as it has them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

from why504.probe.kit import Kit, free_name
from why504.probe.pools.watchedpool import WatchedPool


class PoolsOf:
    """Pools by the objects that they are, held weakly."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._pools: weakref.WeakKeyDictionary[Any, WatchedPool] = weakref.WeakKeyDictionary()
        # Two threads may be the first to want something of a pool.
        self._lock = threading.RLock()

    def get(self, pool: object) -> WatchedPool | None:
        """Return what is known of a pool."""
        return self._pools.get(pool)

    def of(self, pool: object, make: Callable[[], WatchedPool]) -> WatchedPool:
        """Return what is known of a pool, from now on if it is a new one."""
        known = self._pools.get(pool)
        if known is not None:
            return known
        with self._lock:
            if pool not in self._pools:
                self._pools[pool] = made = make()
                self._kit.watched.add(made)
                if made.of_a_database:
                    self._kit.pools.add(made)
            return self._pools[pool]

    def called(self, resource: str) -> WatchedPool | None:
        """Return the pool of a resource."""
        pools = list(self._pools.values())
        return next((pool for pool in pools if pool.resource == resource), None)

    def name(self, wanted: str) -> str:
        """Return a name that no other one has: as wanted, if it is free."""
        return free_name(wanted, {pool.name for pool in list(self._pools.values())})

    def clear(self) -> None:
        """Forget all pools."""
        self._pools.clear()
