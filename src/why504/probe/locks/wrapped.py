"""Locks that tell who waits for them and who has them; all else they pass on.

Without a probe they do nothing but pass on. With one, what is free is taken first and noted
afterwards, so that only those who have to wait pay for more than a note.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from why504.probe.locks.named import LISTENING, Listener, Resource

_NOT_GIVEN: Final[Any] = object()


class Wrapper:
    """What all wrappers have in common: everything else is the wrapped lock's."""

    __slots__ = ("__weakref__", "_is_taken", "_lock", "_resource")

    def __init__(self, named: Resource, lock: Any, is_taken: Callable[[Any], bool]) -> None:
        object.__setattr__(self, "_resource", named)
        object.__setattr__(self, "_lock", lock)
        object.__setattr__(self, "_is_taken", is_taken)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._lock, name, value)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        # `isinstance` asks for it after the type: whoever looks for a lock finds one.
        return self._lock.__class__

    def __repr__(self) -> str:
        return f"<why504 resource {self._resource.full_name}: {self._lock!r}>"

    def _give_back(
        self, release: Callable[[], None], key: int | None = None, places: int = 1
    ) -> None:
        listener = LISTENING.listener
        if listener is None:
            release()
            return
        holds: list[Any] = []
        try:
            # Looked up first, for afterwards it may be somebody else's; told once it is free.
            holds += [listener.returning(self._resource, key) for _ in range(places)]
        finally:
            # Whatever a test or a signal handler raises there.
            self._release(release, listener, holds)
        for hold in holds:
            listener.returned(self._resource, hold)

    def _release(self, release: Callable[[], None], listener: Listener, holds: list[Any]) -> None:
        try:
            release()
        except BaseException:
            for hold in holds:
                listener.kept(self._resource, hold)
            raise


class ThreadLock(Wrapper):
    """A lock or semaphore of threading."""

    __slots__ = ()

    def acquire(self, blocking: bool = True, timeout: Any = _NOT_GIVEN) -> bool:
        """Take it as `threading.Lock.acquire` and `threading.Semaphore.acquire` do."""
        listener = LISTENING.listener
        given = () if timeout is _NOT_GIVEN else (timeout,)
        if listener is None:
            return bool(self._lock.acquire(blocking, *given))
        if not _is_plain(blocking, given):
            # What is odd about it is the lock's to refuse, whether or not it is free.
            return self._wait(listener, lambda: self._lock.acquire(blocking, *given))
        if self._lock.acquire(False):
            self._note(listener, None)
            return True
        if not blocking:
            return False
        return self._wait(listener, lambda: self._lock.acquire(True, *given))

    def release(self, n: int = 1) -> None:
        """Give it back; of a semaphore, `n` places of it."""
        if n == 1:
            self._give_back(self._lock.release)
        else:
            self._give_back(lambda: self._lock.release(n), places=n)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self._give_back(self._lock.release)

    def _wait(self, listener: Listener, acquire: Callable[[], Any]) -> bool:
        wait = listener.asks(self._resource)
        outcome, got = "cancelled", False
        try:
            got = acquire() is not False
            outcome = "acquired" if got else "timeout"
        finally:
            listener.waited(self._resource, wait, outcome)
        if got:
            self._note(listener, wait)
        return got

    def _note(self, listener: Listener, wait: Any) -> None:
        try:
            listener.took(self._resource, wait, self._key())
        except BaseException:
            # A signal handler's, or a test's: whoever asked will never learn that it is theirs.
            self._lock.release()
            raise

    def _key(self) -> int | None:
        return None


def _is_plain(blocking: object, timeout: tuple[Any, ...]) -> bool:
    """Return whether a lock that is free would be taken, whatever kind it is of."""
    if not timeout:
        return blocking is True or blocking is False
    known = type(timeout[0]) in (int, float) and 0 <= timeout[0] <= threading.TIMEOUT_MAX
    return blocking is True and known


class ReentrantLock(ThreadLock):
    """An RLock: a thread's own, however often it takes it; a Condition gives it up as a whole."""

    __slots__ = ()

    def acquire(self, blocking: bool = True, timeout: Any = _NOT_GIVEN) -> bool:
        """Take it as `threading.RLock.acquire` does."""
        if self._lock._is_owned():
            given = () if timeout is _NOT_GIVEN else (timeout,)
            return bool(self._lock.acquire(blocking, *given))
        return super().acquire(blocking, timeout)

    def release(self, n: int = 1) -> None:
        """Give it back once; of any other number the lock says what is wrong with it."""
        self._lock.release(*(() if n == 1 else (n,)))
        self._returned()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _release_save(self) -> Any:
        state = self._lock._release_save()
        self._returned()
        return state

    def _acquire_restore(self, state: Any) -> None:
        listener = LISTENING.listener
        if listener is None:
            self._lock._acquire_restore(state)
        else:
            self._wait(listener, lambda: self._lock._acquire_restore(state))

    def _returned(self) -> None:
        listener = LISTENING.listener
        if listener is not None and not self._lock._is_owned():
            listener.returned(self._resource, listener.returning(self._resource, self._key()))

    def _key(self) -> int | None:
        return threading.get_ident()


class AsyncLock(Wrapper):
    """A lock or semaphore of asyncio or anyio."""

    __slots__ = ()

    async def acquire(self) -> Any:
        """Take it as the wrapped one does."""
        return await self._taking(self._lock.acquire)

    async def _taking(self, acquire: Callable[..., Any], *borrower: object) -> Any:
        listener, named = LISTENING.listener, self._resource
        if listener is None:
            return await acquire(*borrower)
        # Of one that is free just now whoever waited for it is the next.
        wait = listener.asks(named) if named.waits or self._is_taken(self._lock) else None
        outcome = "cancelled"
        try:
            got = await acquire(*borrower)
            outcome = "acquired"
        finally:
            if wait is not None:
                listener.waited(named, wait, outcome)
        self._note(listener, wait, *borrower)
        return got

    def _note(self, listener: Listener, wait: Any, *borrower: object) -> None:
        try:
            listener.took(self._resource, wait, id(borrower[0]) if borrower else None)
        except BaseException:
            # A signal handler's, or a test's: whoever asked will never learn that it is theirs.
            if borrower:
                self._lock.release_on_behalf_of(borrower[0])
            else:
                self._lock.release()
            raise

    def release(self) -> None:
        """Give it back."""
        self._give_back(self._lock.release)

    async def __aenter__(self) -> Any:
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._give_back(self._lock.release)


class AnyioLock(AsyncLock):
    """One of anyio's, which may be taken without waiting."""

    __slots__ = ()

    def acquire_nowait(self) -> None:
        """Take it, or raise `anyio.WouldBlock`."""
        self._lock.acquire_nowait()
        if LISTENING.listener is not None:
            self._note(LISTENING.listener, None)


class AnyioSemaphore(AnyioLock):
    """anyio's Semaphore, which an `async with` gives."""

    __slots__ = ()

    async def __aenter__(self) -> Any:
        await self.acquire()
        return self


class AnyioLimiter(AnyioLock):
    """anyio's CapacityLimiter, whose tokens may be borrowed on behalf of somebody else."""

    __slots__ = ()

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Take a token for `borrower`."""
        await self._taking(self._lock.acquire_on_behalf_of, borrower)

    def acquire_on_behalf_of_nowait(self, borrower: object) -> None:
        """Take a token for `borrower`, or raise `anyio.WouldBlock`."""
        self._lock.acquire_on_behalf_of_nowait(borrower)
        if LISTENING.listener is not None:
            self._note(LISTENING.listener, None, borrower)

    def release_on_behalf_of(self, borrower: object) -> None:
        """Give back the token of `borrower`."""
        self._give_back(lambda: self._lock.release_on_behalf_of(borrower), id(borrower))
