"""Resources that the user names, and who listens to what happens to them: nobody, or a probe.

Standard library only: whoever names a lock pays for nothing else until `instrument()` is called.
Without locks of its own, since garbage collection and signal handlers may give back what they like
while a thread is in here: each change is one operation of a dictionary.
"""

from __future__ import annotations

import itertools
import queue
import re
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from why504.errors import ConfigError

_NAME: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
_GAVE_UP: Final = (TimeoutError, queue.Empty, queue.Full)
_known: Final[weakref.WeakValueDictionary[str, Resource]] = weakref.WeakValueDictionary()
_count: Final = itertools.count(2)


class Listener(Protocol):
    """Hears of waits and holds; what it returns is given back to it, and is no business of ours."""

    def asks(self, resource: Resource) -> Any:
        """Somebody wants a resource and can't have it yet."""

    def waited(self, resource: Resource, wait: Any, outcome: str) -> None:
        """That is over: `acquired`, `timeout` or `cancelled`."""

    def took(self, resource: Resource, wait: Any, key: int | None) -> Any:
        """Somebody has it, after `wait` if that is not None; without a key this task or thread."""

    def returning(self, resource: Resource, key: int | None) -> Any:
        """Take out the hold that is about to be given back: of this key, else the likeliest."""

    def returned(self, resource: Resource, hold: Any) -> None:
        """It was given back."""

    def kept(self, resource: Resource, hold: Any) -> None:
        """It could not be given back after all."""

    def lost(self, resource: Resource) -> None:
        """A resource is gone, and who had it has nothing any more."""


class _Listening:
    """Who listens in this process; a probe that comes second is not told."""

    __slots__ = ("listener",)

    def __init__(self) -> None:
        self.listener: Listener | None = None


LISTENING: Final = _Listening()


class Resource:
    """Something that can be waited for and held, by the name that the user gave it.

    Args:
        kind: how it is spelled: `names.lock`, or `names.limiter` for what several may have at once.
        name: up to 64 letters, digits and `_ . : / -`.
        capacity: returns how many may have it at once: 0 for a signal, which nobody ever has;
            None where nobody knows.

    Raises:
        ConfigError: the name has other characters.
    """

    __slots__ = ("__weakref__", "capacity", "full_name", "holds", "last_wait_s", "waits")

    def __init__(
        self,
        kind: Callable[[str], str],
        name: str,
        capacity: Callable[[], int | None] = lambda: None,
    ) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(
                f"a resource can't be named {name!r}: take up to 64 letters, digits and _ . : / -"
            )
        self.full_name = kind(name)
        if _known.setdefault(self.full_name, self) is not self:
            # Who waits for one lock does not wait for another one of the same name.
            self.full_name = kind(f"{name}#{next(_count)}")
            _known[self.full_name] = self
        self.capacity = capacity
        self.waits: dict[int, Any] = {}
        self.holds: dict[int, Any] = {}
        """Who has it, oldest first, by whatever tells them apart."""
        self.last_wait_s = float("-inf")
        """When the last wait ended, monotonic seconds."""

    def __repr__(self) -> str:
        return f"<why504 resource {self.full_name}>"

    def __del__(self) -> None:
        # While the interpreter goes down even a module's own names may be gone.
        listener = LISTENING.listener if LISTENING else None
        if listener is not None and getattr(self, "holds", None):
            listener.lost(self)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Tell what happens inside as a wait for this resource, if it takes over a millisecond."""
        listener = LISTENING.listener
        if listener is None:
            yield
            return
        wait = listener.asks(self)
        outcome = "cancelled"
        try:
            yield
            outcome = "acquired"
        except _GAVE_UP:
            outcome = "timeout"
            raise
        finally:
            listener.waited(self, wait, outcome)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Tell that whoever is inside has this resource, if it matters to anybody."""
        listener = LISTENING.listener
        if listener is None:
            yield
            return
        hold = listener.took(self, None, None)
        try:
            yield
        finally:
            listener.returned(self, hold)


def forget_all() -> None:
    """Forget who waits and who has what: after a fork all of it is in the parent."""
    for resource in list(_known.values()):
        resource.waits.clear()
        resource.holds.clear()
