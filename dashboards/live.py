"""The live view of a store, one for all who look; it is brought up to date by looking at it.

Nothing runs in the background: a store that nobody looks at is not read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from dashboards import evidence
from why504.diagnose.now import Now
from why504.errors import StoreUnavailable
from why504.model import Incident
from why504.stores.opening import may_tell

if TYPE_CHECKING:
    from why504.stores.following import Following

EVERY_S: Final = 1.0
"""A view younger than this is shown to others as it is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look told."""

    now: Now | None
    """The latest view; None while there has been none."""
    problem: str = ""
    """Why the last look told nothing new, if it did not; the next one tries again."""


class Watch:
    """One live view for any number of threads.

    Args:
        follow: makes the view, at the first look.
        every_s: how old it may be.
    """

    def __init__(self, follow: Callable[[], Following], *, every_s: float = EVERY_S) -> None:
        self._follow = follow
        self._every_s = every_s
        self._looking = threading.Lock()
        self._following: Following | None = None
        self._seen = Seen(None)
        self._looked_s = float("-inf")

    def look(self) -> Seen:
        """Return the view as of now, or as it was at most a second ago."""
        # Whoever has something to show meanwhile does not wait for the one who looks.
        if not self._looking.acquire(blocking=self._seen.now is None):
            return self._seen
        try:
            if time.monotonic() - self._looked_s >= self._every_s:
                self._seen = self._look()
                self._looked_s = time.monotonic()
            return self._seen
        finally:
            self._looking.release()

    def _look(self) -> Seen:
        try:
            if self._following is None:
                self._following = self._follow()
            return Seen(self._following.look(time.time_ns()))
        except StoreUnavailable as error:
            return Seen(self._seen.now, str(error))
        except BaseException:
            # What was read may be lost half-way: the next look begins anew.
            self._following = None
            raise


def watch(folder: Path) -> Watch:
    """Return the view of the store in `folder`, the same for all sessions."""
    return _watch(folder)


@st.cache_resource(max_entries=4, show_spinner=False)
def _watch(folder: Path) -> Watch:
    def follow() -> Following:
        from why504.stores.following import Following

        store: Any = evidence.store_in(folder)
        return Following(store)

    return Watch(follow)


def last_heard_ns(folder: Path) -> int | None:
    """Return until when the store tells of anything; None when it is empty or not there.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    covered = evidence.store_in(folder).extent() if may_tell(folder) else None
    return None if covered is None else covered.end_ns


def latest_incident(folder: Path, heard_ns: int) -> Incident | None:
    """Return the latest incident of a store that tells of nothing after `heard_ns`.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    return _latest(folder, heard_ns)


@st.cache_resource(max_entries=4, show_spinner=False)
def _latest(folder: Path, heard_ns: int) -> Incident | None:
    return next(iter(evidence.incidents(folder)), None)
