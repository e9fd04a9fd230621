"""A probe never breaks its host, and never hides its own bug in its own tests.

After logfire's `log_internal_error`: swallowed and counted, but raised in tests; in ours only, by a
variable of our own: under pytest runs many a service that the probe is in.
"""

from __future__ import annotations

import logging
import os
from types import TracebackType
from typing import Final

_LOG = logging.getLogger("why504.probe")
RAISE: Final = "WHY504_RAISE"
"""Variable that our own tests set (tests/conftest.py): errors of the probe are raised."""


class Guard:
    """Counts what went wrong inside the probe, by site; a site is logged once."""

    def __init__(self) -> None:
        self.errors: dict[str, int] = {}

    def site(self, name: str) -> GuardedSite:
        """Return a context manager for one place in the probe; it may be entered many times."""
        self.errors.setdefault(name, 0)
        return GuardedSite(self, name)

    def count(self, name: str, errors: int = 1) -> int:
        """Count errors of a site and return how many it had."""
        self.errors[name] = self.errors.get(name, 0) + errors
        return self.errors[name]


class GuardedSite:
    """Swallows exceptions of its block, not cancellation, not exit; in our own tests none."""

    __slots__ = ("_guard", "_name")

    def __init__(self, guard: Guard, name: str) -> None:
        self._guard = guard
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return isinstance(error, Exception) and self.swallows(error)

    def swallows(self, error: Exception) -> bool:
        """Count and log an error; return False in our own tests, where it is to be raised.

        For places that every request comes through: a `try` costs nothing, a `with` half a
        microsecond.
        """
        if self._guard.count(self._name) == 1:
            _LOG.warning(
                "why504 failed in %s; the application is unaffected", self._name, exc_info=error
            )
        return RAISE not in os.environ
