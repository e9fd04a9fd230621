"""What is seen, and which cause that may be, as a table. The first row that sees something wins.

Causes are those of `causes.py`; where the taxonomy has none, a row brings a title of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from why504.diagnose.hung import of_process, of_threads
from why504.diagnose.hung.scene import Scene
from why504.diagnose.hung.sighting import Sighting

RULES: Final[Sequence[Callable[[Scene], Sighting | None]]] = (
    of_process.stopped,
    of_process.starved,  # E1
    of_process.thrashes,  # C1
    of_process.keeps_interpreter,
    of_process.blocks_loop,  # F1, A3, B1
    of_threads.waits_in_pool,  # A1a, or what its holders do
    of_threads.deadlock,
    of_threads.calls("broker", "llm", "db"),  # F1, B3, A2b
    of_threads.computes_in_thread,  # A3
    of_threads.takes_threads,  # C2
    of_threads.calls("http", "cache"),  # D1
    of_threads.awaits_peer,
    of_threads.idle,  # N0
)
"""Rows from the particular to the general, in the order of the taxonomy."""
