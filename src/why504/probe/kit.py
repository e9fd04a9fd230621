"""What every watch of a library needs, and how methods of libraries are replaced and given back."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, overload

from why504.probe.exposed.metrics import Metrics
from why504.probe.inflight import Registry
from why504.probe.pools.limits import Limits
from why504.probe.safety import Guard
from why504.probe.spans.calls import Calls
from why504.probe.telling.openrecord import RecordBook

if TYPE_CHECKING:
    from why504.probe.pools.pool import PoolWatch
    from why504.probe.pools.watchedpool import WatchedPool

MOST_POOLS: Final = 200
"""Pools that are told by name; a program that makes one for each request has no use for more."""


class Pools(Sequence["PoolWatch | WatchedPool"]):
    """Pools of databases, oldest first, each for as long as its library has it.

    Held weakly: who makes an engine for each request and drops it must get rid of it.
    """

    def __init__(self, given: Sequence[PoolWatch]) -> None:
        self._known: list[weakref.ref[PoolWatch | WatchedPool]] = []
        for pool in given:
            self.add(pool)

    def add(self, pool: PoolWatch | WatchedPool) -> None:
        """Tell of a pool from now on; beyond 200 that are alive it is forgotten."""
        self._known = [known for known in self._known if known() is not None]
        if len(self._known) < MOST_POOLS:
            self._known.append(weakref.ref(pool))

    def _alive(self) -> list[PoolWatch | WatchedPool]:
        return [pool for known in self._known if (pool := known()) is not None]

    def __len__(self) -> int:
        return len(self._alive())

    @overload
    def __getitem__(self, index: int) -> PoolWatch | WatchedPool: ...
    @overload
    def __getitem__(self, index: slice) -> list[PoolWatch | WatchedPool]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._alive()[index]


@dataclass(frozen=True, slots=True)
class Kit:
    """One probe's parts, as its watches of libraries share them."""

    registry: Registry
    book: RecordBook
    guard: Guard
    calls: Calls
    metrics: Metrics
    limits: Limits
    pools: Pools
    """Pools of databases: told on `/metrics` and `/debug/requests` too."""
    hold_after_s: float
    watched: weakref.WeakSet[WatchedPool] = field(default_factory=weakref.WeakSet)
    """Pools of all libraries but SQLAlchemy."""

    def database_name(self, wanted: str, told: str, *, alone: bool = True) -> str:
        """Return a free name for a pool: as wanted, else `main` for the only one, else as `told`.

        Args:
            wanted: the name that the application gave it, empty for none.
            told: what else tells it apart: its database, or its host.
            alone: whether no other one is known that has no name yet.
        """
        known = {pool.name for pool in self.pools}
        return free_name(wanted or ("main" if alone and not known else told or "pool"), known)


def free_name(name: str, known: set[str]) -> str:
    """Return a name that nothing else has: `app`, then `app#2`."""
    number, free = 1, name
    while free in known:
        number += 1
        free = f"{name}#{number}"
    return free


class Patches:
    """Methods that were replaced, of classes and modules alike."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        return bool(self._undo)

    def wrap(self, owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
        """Replace a method by what `wrapper` makes of it; of a library that lacks it, nothing."""
        original = getattr(owner, name, None)
        if original is None:
            return
        # What a class has may be a method of the class, which reading it would bind.
        own = vars(owner).get(name)
        wrapped = wrapper(original)
        setattr(owner, name, wrapped)

        def undo() -> None:
            if vars(owner).get(name) is not wrapped:
                return  # somebody has wrapped it since
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)

        self._undo.append(undo)

    def undo(self) -> None:
        """Give all methods back."""
        while self._undo:
            self._undo.pop()()
