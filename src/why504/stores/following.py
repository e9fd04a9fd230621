"""A live view of a store: what came since the last look is read, merged, and nothing else."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from why504.diagnose.kept import KEEP_NS
from why504.diagnose.live import Live
from why504.diagnose.now import Now
from why504.model import Evidence, Window
from why504.stores.base import EvidenceStore
from why504.stores.records import Merging, Row

_END: Final = Row._fields.index("end_ns")
_INSTANCE: Final = Row._fields.index("instance")


class Following:
    """Looks at a store again and again; for one thread at a time."""

    def __init__(self, store: EvidenceStore, live: Live | None = None) -> None:
        self._newest = store.newest()
        self._live = live or Live()
        self._merging = Merging()

    def look(self, now_ns: int) -> Now:
        """Return the view with everything that the store has by now.

        A store that finds things late is seen as of that much earlier: of a moment half of which is
        missing, nothing could be said. `Now.lag_s` tells.

        Raises:
            StoreUnavailable: the store can't be read now; the next look makes up for it.
        """
        with _uncollected():
            return self._look(now_ns)

    def _look(self, now_ns: int) -> Now:
        lag_s = self._newest.lag_s
        now_ns -= int(lag_s * 1e9)
        window = Window(now_ns - KEEP_NS, now_ns + KEEP_NS)
        rows = self._newest.newer(window)
        heard_ns: dict[str, int] = {}
        for row in rows:
            if row[_END] <= window.end_ns:
                heard_ns[row[_INSTANCE]] = max(row[_END], heard_ns.get(row[_INSTANCE], 0))
        added = self._merging.add(rows)
        delta = Evidence.of(self._merging.items(added.changed), window, heard_ns)
        again = {(t.hex(), s.hex()): told_ns for (t, s), told_ns in added.again.items()}
        gone = self._live.update(delta, now_ns, again)
        self._merging.forget((bytes.fromhex(t), bytes.fromhex(s)) for t, s in gone)
        return replace(self._live.now(), lag_s=lag_s, measured=self._newest.measured())


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Leave the garbage collector out of a look: it would go through all that is kept, twice.

    What a look makes is either kept or freed by its count; the few rings are collected later.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
