"""`why504.resource("model", asyncio.Lock())`: which locks can be named, as a table."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar, overload

from why504 import names
from why504.errors import ConfigError
from why504.probe.locks.named import Resource
from why504.probe.locks.wrapped import (
    AnyioLimiter,
    AnyioLock,
    AnyioSemaphore,
    AsyncLock,
    ReentrantLock,
    ThreadLock,
    Wrapper,
)

L = TypeVar("L")


@overload
def resource(name: str) -> Resource: ...
@overload
def resource(name: str, lock: L) -> L: ...
def resource(name: str, lock: Any = None) -> Any:
    """Name a lock, a semaphore or anything else that requests may wait for.

    Args:
        name: what people are to read in the answer: up to 64 letters, digits and `_ . : / -`.
        lock: a lock or semaphore of threading, asyncio or anyio, or a limiter of anyio.

    Returns:
        The lock to use in place of the one given, which works as that one does. Without one a
        `Resource`: `with it.waiting(): ...` and `with it.held(): ...` tell what you say.

    Raises:
        ConfigError: the name has other characters, or the lock is of no kind that is known.
    """
    if lock is None:
        return Resource(names.limiter, name)
    for kind in _KINDS:
        module = sys.modules.get(kind.module)
        classes = tuple(getattr(module, one) for one in kind.classes if hasattr(module, one))
        # One that has a name says that it is of the class of the lock inside it.
        if isinstance(lock, classes) and not isinstance(lock, Wrapper):
            return kind.wrapper(kind.named(name, lock), lock, kind.is_taken)
    raise ConfigError(
        f"{lock!r} is no lock, semaphore or limiter of threading, asyncio or anyio; of a Condition"
        f" name the lock inside it, for anything else use why504.resource({name!r}).waiting() and"
        " .held()"
    )


class Kind(NamedTuple):
    """What may be named, and how it is watched."""

    module: str
    """Where its classes are, once the application has imported it."""
    classes: tuple[str, ...]
    wrapper: type[Wrapper]
    named: Callable[[str, Any], Resource]
    is_taken: Callable[[Any], bool] = lambda lock: lock.locked()
    """Whether it is known that one would have to wait; never asked of threading's."""


def _one(name: str, lock: Any) -> Resource:
    return Resource(names.lock, name, lambda: 1)


def _several(name: str, lock: Any) -> Resource:
    places = int(lock.value if hasattr(lock, "value") else lock._value)
    return Resource(names.limiter, name, lambda: places)


def _tokens(name: str, lock: Any) -> Resource:
    def total() -> int | None:
        return None if math.isinf(lock.total_tokens) else int(lock.total_tokens)

    return Resource(names.limiter, name, total)


_KINDS: Final = (
    Kind("_thread", ("LockType", "lock"), ThreadLock, _one),
    Kind("_thread", ("RLock",), ReentrantLock, _one),
    Kind("threading", ("_PyRLock", "_RLock"), ReentrantLock, _one),
    Kind("threading", ("Semaphore",), ThreadLock, _several),
    Kind("asyncio", ("Lock",), AsyncLock, _one),
    Kind("asyncio", ("Semaphore",), AsyncLock, _several),
    Kind("anyio", ("Lock",), AnyioLock, _one),
    Kind("anyio", ("Semaphore",), AnyioSemaphore, _several, lambda lock: lock.value == 0),
    Kind(
        "anyio",
        ("CapacityLimiter",),
        AnyioLimiter,
        _tokens,
        lambda lock: lock.available_tokens <= 0,
    ),
)
"""Bounded semaphores are semaphores. Their limits have no other reader than `_value`."""
