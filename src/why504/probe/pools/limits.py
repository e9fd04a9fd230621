"""The limits that a process runs with, read from the objects that enforce them.

Read anew at each `GET /debug/limits`. Clients are known by the attributes they have, so that no
library is imported for it.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from why504.ladder.rung import Rung, declared
from why504.probe.pools.slots import Slots
from why504.probe.safety import Guard

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry

_DECLARED: Final = "declared by the application"
_OPTION: Final = re.compile(r"(?:-c\s*|--)(\w+)=(\d+)\s*(us|ms|s|min|h|d)?(?=\s|$)")
_UNIT_S: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SERVER_LIMITS: Final = {
    "statement_timeout": "statement",
    "lock_timeout": "lock",
    "idle_in_transaction_session_timeout": "idle_in_transaction",
}


class Limits:
    """Every limit of one process: its pools', its connections', and what it declares."""

    def __init__(
        self, engines: Mapping[str, Engine], limits: Mapping[str, object], guard: Guard
    ) -> None:
        """Remember what to read.

        Raises:
            ConfigError: a value is neither seconds nor an object whose limits can be read.
        """
        for name, value in limits.items():
            if _reader(value) is None:
                declared(name, value, "instrument(limits=...)")
        self._engines: dict[str, Callable[[], Engine | None]] = {}
        for name, engine in engines.items():
            self._engines[name] = partial(lambda one: one, engine)
        self._limits = dict(limits)
        self._guard = guard.site("limits")
        self._options: dict[str, str] = {}
        self._listening: weakref.WeakKeyDictionary[Engine, Callable[..., None]]
        self._listening = weakref.WeakKeyDictionary()

    def attach(self) -> None:
        """Note the options of each engine's connections as they are made; `detach` undoes it."""
        for name, given in self._engines.items():
            engine = given()
            if engine is not None:
                self._listen(name, engine)

    def watch(self, name: str, engine: Engine) -> None:
        """Tell of an engine that nobody gave to us, for as long as it is there."""
        self._engines[name] = weakref.ref(engine)
        self._listen(name, engine)

    def detach(self) -> None:
        """Remove every hook."""
        for engine, hook in list(self._listening.items()):
            from sqlalchemy import event

            event.remove(engine, "connect", hook)
        self._listening.clear()

    def _listen(self, name: str, engine: Engine) -> None:
        from sqlalchemy import event

        def connected(_: Any, entry: ConnectionPoolEntry) -> None:
            with self._guard:
                info = getattr(entry.driver_connection, "info", None)
                self._options[name] = str(getattr(info, "options", ""))

        event.listen(engine, "connect", connected)
        self._listening[engine] = connected

    def told(self) -> list[dict[str, Any]]:
        """Return what `/debug/limits` shows: one row a limit, seconds or null for none."""
        rungs = [rung for name, value in self._limits.items() for rung in _read(name, value)]
        for name, given in self._engines.items():
            engine = given()
            if engine is not None:
                rungs += engine_limits(name, engine, self._options.get(name))
        return [rung.as_row() for rung in rungs]


def engine_limits(name: str, engine: Any, options: str | None = None) -> Iterator[Rung]:
    """Yield the limits of an engine, sync or async, and of its connections if they are known.

    `options` are those of a connection that was made; before the first one, the URL's are read.
    """
    engine = sync_engine(engine)
    timeout = getattr(engine.pool, "timeout", None)
    if callable(timeout):
        size = Slots(engine.pool).capacity()
        yield Rung("pool", timeout(), name=name, where="SQLAlchemy's pool", connections=size)
    if options is None:
        told = engine.url.query.get("options", "")
        options = told if isinstance(told, str) else " ".join(told)
    for setting, number, unit in _OPTION.findall(options):
        if setting in _SERVER_LIMITS:
            # PostgreSQL's bare numbers are milliseconds, and its 0 is no limit.
            seconds = int(number) * _UNIT_S[unit or "ms"] or None
            yield Rung(_SERVER_LIMITS[setting], seconds, name=name, where="connection options")


def sync_engine(engine: Engine | AsyncEngine) -> Engine:
    """Return the engine that an asynchronous one works with, or the engine itself."""
    behind: Engine | None = getattr(engine, "sync_engine", None)
    return cast("Engine", engine) if behind is None else behind


def _read(name: str, value: object) -> Iterator[Rung]:
    reader = _reader(value)
    if reader is None:
        yield declared(name, value, _DECLARED)
        return
    for rung in reader(name, value):
        yield replace(rung, where=f"{type(value).__module__.partition('.')[0]}, {_DECLARED}")


def _rung(name: str, seconds: object, part: str = "", **more: Any) -> Rung:
    rung = declared(name, seconds, _DECLARED)
    return replace(rung, name=" ".join(filter(None, (rung.name, part))), **more)


def _pika(name: str, parameters: Any) -> Iterator[Rung]:
    # The stack's limit spans TCP, TLS and AMQP; the socket's ends with TCP, then pika waits on.
    attempts = int(parameters.connection_attempts)
    yield _rung(
        name,
        parameters.stack_timeout,
        "connect",
        attempts=attempts,
        pause_s=(attempts - 1) * float(parameters.retry_delay),
    )
    yield _rung(name, parameters.blocked_connection_timeout, "blocked by the broker")
    # None leaves it to the broker, which may be asked; a callable decides while connecting.
    if isinstance(parameters.heartbeat, int):
        yield Rung("heartbeat", float(parameters.heartbeat) or None)


def _redis(name: str, client: Any) -> Iterator[Rung]:
    known = client.connection_pool.connection_kwargs
    retry = known.get("retry")
    attempts = 1 + max(0, int(retry.get_retries())) if hasattr(retry, "get_retries") else 1
    longest = _longest(known.get("socket_connect_timeout"), known.get("socket_timeout"))
    yield _rung(name, longest, attempts=attempts)


def _httpx(name: str, timeout: Any) -> Iterator[Rung]:
    # httpx bounds each silence; one that hangs in one phase lasts as long as the longest.
    yield _rung(name, _longest(timeout.connect, timeout.read, timeout.write, timeout.pool))


def _client(name: str, client: Any) -> Iterator[Rung]:
    attempts = 1 + int(getattr(client, "max_retries", 0))
    inner = _reader(client.timeout)
    rungs = [_rung(name, client.timeout)] if inner is None else inner(name, client.timeout)
    for rung in rungs:
        # The clients that openai's generator makes pause 0.5, 1, 2, 4, 8, 8, ... seconds.
        pauses_s = sum(min(8.0, 0.5 * 2.0**retry) for retry in range(attempts - 1))
        yield replace(rung, attempts=attempts, pause_s=pauses_s)


def _longest(*seconds: float | None) -> float | None:
    known = [one for one in seconds if one is not None]
    return None if len(known) < len(seconds) else max(known)


_READERS: Final[tuple[tuple[tuple[str, ...], Callable[[str, Any], Iterator[Rung]]], ...]] = (
    (("sync_engine",), engine_limits),
    (("pool", "dialect", "url"), engine_limits),
    (("stack_timeout", "blocked_connection_timeout", "connection_attempts"), _pika),
    (("connection_pool",), _redis),
    (("connect", "read", "write", "pool"), _httpx),
    (("timeout",), _client),
)
"""What tells a kind of object, and who reads it; the first row that fits."""


def _reader(value: object) -> Callable[[str, Any], Iterator[Rung]] | None:
    for attributes, reader in _READERS:
        if all(hasattr(value, attribute) for attribute in attributes):
            return reader
    return None
