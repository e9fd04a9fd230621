"""SQLAlchemy's engines that nobody gave to `instrument()`: watched from their next connection on.

All that an engine does begins with `raw_connection()`, so that one method of the class finds those
of before and after `instrument()`, and those behind asynchronous ones.
"""

from __future__ import annotations

import functools
import gc
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from why504.probe.kit import Kit, Patches
from why504.probe.pools.engines import Engines
from why504.probe.pools.pool import is_watched

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_WATCH: Final = "_why504_watch"


class FoundEngines:
    """Wraps SQLAlchemy once the application has imported it; never imports it itself."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._guard = kit.guard.site("engines")
        self._patches = Patches()
        self._lock = threading.RLock()
        self._unnamed: weakref.WeakSet[Engine] = weakref.WeakSet()
        """Engines that were made and have not connected since."""
        self._watched: weakref.WeakSet[Engine] = weakref.WeakSet()

    def attach(self) -> None:
        """Wrap SQLAlchemy if it is imported by now; does nothing the second time."""
        module = sys.modules.get("sqlalchemy.engine.base")
        kind: Any = getattr(module, "Engine", None)
        if self._patches or kind is None or not hasattr(kind, "raw_connection"):
            return
        # Whether there are several has to be known before the first of them is named. Types are
        # looked at, since asking an object for its class may run code of the application.
        self._unnamed.update([one for one in gc.get_objects() if type(one) is kind])
        self._patches.wrap(kind, "__init__", self._made)
        self._patches.wrap(kind, "raw_connection", self._connects)

    def detach(self) -> None:
        """Give SQLAlchemy its own methods back, and its engines theirs."""
        self._patches.undo()
        for engine in list(self._watched):
            vars(engine).pop(_WATCH).detach()
        self._watched.clear()

    def _made(self, init: Any) -> Any:
        @functools.wraps(init)
        def made(engine: Engine, *args: Any, **options: Any) -> None:
            init(engine, *args, **options)
            with self._guard, self._lock:
                self._unnamed.add(engine)

        return made

    def _connects(self, raw_connection: Any) -> Any:
        @functools.wraps(raw_connection)
        def connects(engine: Engine) -> Any:
            if "connect" not in vars(engine.pool):  # `is_watched`, but for its call
                with self._guard, self._lock:
                    self._watch(engine)
            return raw_connection(engine)

        return connects

    def _watch(self, engine: Engine) -> None:
        # One with execution options of its own is a view of another one.
        while "_proxied" in vars(engine):
            engine = vars(engine)["_proxied"]
        if engine in self._watched or is_watched(engine.pool):
            return
        kit = self._kit
        self._unnamed.discard(engine)
        others = [one for one in self._unnamed if not is_watched(one.pool)]
        wanted = getattr(engine.pool, "logging_name", None) or engine.logging_name or ""
        told = engine.url.database or engine.url.host or engine.dialect.name
        name = kit.database_name(str(wanted), _short(str(told)), alone=not others)
        engines = Engines(
            {name: engine},
            kit.book,
            registry=kit.registry,
            metrics=kit.metrics,
            hold_after_s=kit.hold_after_s,
        )
        self._watched.add(engine)
        # The engine has its watch, and nobody else: both go when the application drops it.
        vars(engine)[_WATCH] = engines
        engines.attach(kit.guard, kit.calls)
        kit.limits.watch(name, engine)
        for pool in engines.pools:
            kit.pools.add(pool)


def _short(database: str) -> str:
    """Return the name of a database that is a file, without its folders."""
    return database.rpartition("/")[2] or database
